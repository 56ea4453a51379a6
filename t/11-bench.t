# SPDX-License-Identifier: Apache-2.0
# The rules of the benchmark in t/bench: which results count, the order and the repetition of rounds, the requests of
# the mix, the scripts for pgbench, the peers' statements, the chart. The measurements themselves need wrk and a quiet
# machine: make -f Makefile.apxs bench.
use strict;
use warnings;

use File::Temp ();
use JSON::XS ();
use Test::More;

use lib 't/bench';
use Bench::Instructions ();
use Bench::Memory ();
use Bench::Peers ();
use Bench::Processes ();
use Bench::Report ();
use Bench::Rounds ();
use Bench::Sql ();
use Bench::Work ();

# ---- results ----

sub run_of {
    my ($kind, $rate, %with) = @_;
    return { work => 'A', kind => $kind, connections => 32, round => 1, rate => $rate, requests => 10 * $rate, p50 => 1,
        p99 => 9, pss => 20, errors => 0, wrong => [], others => 0.01, loops => [0.1, 0.1],
        httpd => { cpu => 2, switches => 20 * $rate }, postgresql => { cpu => 1, switches => 5 * $rate }, %with };
}

sub statement { my ($sql, @parameters) = @_; return { sql => $sql, parameters => \@parameters } }

# A round: `http` and its limits.
sub round_of {
    my ($round, $rate, $const, $sql, %http) = @_;
    return (run_of(const => $const, round => $round), run_of(http => $rate, round => $round, %http),
        run_of(sql => $sql, round => $round, connections => undef));
}

subtest 'medians, the bound and the ratio' => sub {
    my @rows = Bench::Report::rows([round_of(1, 900, 3000, 6000), round_of(2, 1000, 3000, 6000),
            round_of(3, 600, 1500, 3000), run_of(http => 400, connections => 128),
            run_of(const => 1500, connections => 128)], 1);
    is_deeply([map {"$_->{work} $_->{connections} $_->{rate}"} @rows], ['A 32 900', 'A 128 400'],
        'there is a row for each number of connections, with the median of its runs');
    is(sprintf('%.3f', $rows[0]{bound}), '2000.000', 'the bound is 1 / (1/const + 1/sql)');
    is(sprintf('%.3f %.3f %.3f', @{ $rows[0] }{qw(ratio ratio_low ratio_high)}), '0.500 0.450 0.600',
        'each run is compared with the bound of its own round');
    is(sprintf('%.3f', $rows[1]{bound}), '1200.000', 'const is that of the same number of connections');
    is(sprintf('%.2f %.2f %.2f', @{ $rows[0] }{qw(httpd_cpu httpd_switches postgresql_switches)}), '0.22 2.00 0.50',
        'CPU seconds are per 1,000 requests, context switches per request');
    is(Bench::Report::median(4, 1, 3, 2), 2.5, 'the median of an even number is the mean of the middle two');
    like(Bench::Report::table(@rows), qr{^A +32 +900 +1\.00 +9\.00 +0 +3000 +6000 +2000 +0\.50 +0\.45 +0\.60 +3/3 }m,
        'the table has the medians, the limits, the ratio and its range');
    my ($cached) = Bench::Report::rows([run_of(http => 2700), run_of(const => 3000)]);
    is(sprintf('%.2f', $cached->{ratio}), '0.90', 'without statements, const is the bound');
};

subtest 'no ratio is printed for results that do not count' => sub {
    my %fault = (
        wrong => { wrong => ['an answer was wrong'] },
        errors => { errors => 1 },
        others => { others => 0.06 },
        slow => { loops => [0.1, 0.116] },
    );
    for my $name (sort keys %fault) {
        for my $kind (qw(http const sql)) {
            my @runs = round_of(1, 1000, 3000, 6000);
            $_->{kind} eq $kind and %$_ = (%$_, %{ $fault{$name} }) for @runs;
            my ($row) = Bench::Report::rows(\@runs, 1);
            is_deeply([$row->{ratio}, $row->{faults}], [undef, [$name]], "$name in a run of $kind");
            like(Bench::Report::table($row), qr/ -  .* $name$/m, 'the table has a dash and the reason');
            like(Bench::Report::legend($row), qr/^$name: .*\w\n\z/, 'the legend explains the reason');
        }
    }
    my ($row) = Bench::Report::rows([round_of(1, 1000, 3000, 6000, others => 0.049, loops => [0.1, 0.114])], 1);
    ok($row->{ratio}, 'small disturbances are accepted');
};

subtest 'disturbed rounds' => sub {
    my @calm = map { round_of($_, 1000, 3000, 6000) } 1, 2;
    my @disturbed = map { round_of($_, 100, 3000, 6000, others => 0.2) } 3, 4;
    my ($row) = Bench::Report::rows([@calm, @disturbed], 4);
    is_deeply([@$row{qw(rate counted measured faults)}], [1000, 2, 4, []], 'only the other rounds count');
    is(Bench::Report::counting('A', [@calm, @disturbed]), 2, '... and are counted');
    ($row) = Bench::Report::rows([@calm, @disturbed], 5);
    is_deeply([@$row{qw(ratio faults)}], [undef, ['others']], 'there is no ratio if less than half of them count');
    ($row) = Bench::Report::rows([@calm, round_of(3, 1000, 3000, 6000, others => 0.2, wrong => ['x'])], 2);
    is_deeply($row->{faults}, ['wrong'], 'a wrong answer in a disturbed round is a fault');
    my @slow = map { round_of($_, 500, 3000, 6000) } 2;
    $_->{loops} = [0.2, 0.2] for @slow;
    ($row) = Bench::Report::rows([round_of(1, 1000, 3000, 6000), @slow], 2);
    is_deeply([@$row{qw(counted faults)}], [2, []], 'a round counts if all of it was equally slow');
};

subtest 'peers' => sub {
    my @runs = (round_of(1, 1000, 3000, 6000), round_of(2, 600, 3000, 6000), map { (run_of(go => 500, round => $_),
                run_of(fastify => 250, round => $_)) } 1, 2);
    my ($row) = Bench::Report::rows(\@runs, 2);
    is_deeply([map { $row->{peer}{$_} } qw(name rate ratio)], ['go', 500, 1.6],
        'the ratio to the best peer is the median of the ratios of the rounds');
    like(Bench::Report::table($row), qr/ go +500 +1\.60 /, 'the table has it');
    $runs[6]{wrong} = ['an answer was wrong'];
    ($row) = Bench::Report::rows(\@runs, 2);
    is_deeply([$row->{peer}{ratio}, $row->{faults}], [undef, []], 'a wrong answer of a peer affects only its ratio');
    my %statements = %{ Bench::Peers::statements({ map { $_ => { route => $_ } } qw(A B C D1) },
            { map { $_ => { extra_sql => [], sql => [statement("SELECT 0"), statement("SELECT '$_'", 'id')] } }
                    qw(A B C D1) }) };
    is_deeply([map { $_->{sql} } @{ $statements{C}{sql} }],
        ['SELECT count(*) FROM learnhub.tutoring_sessions', "SELECT 'C'"], 'peers count the rows');
    is_deeply($statements{D1}{sql}[1], statement("SELECT 'D1'", 'id'), 'the other statements are those of the route');
};

subtest 'rounds' => sub {
    my %bench = (connections => [32, 128], rounds => 2, work => ['A'], peers => { go => {} },
        works => { A => {}, E => {}, 'A-cached' => { cached => 1 } });
    my $plan = sub { join ' ', map { $_->[0] . ($_->[1] // '') } Bench::Rounds::plan(\%bench, @_) };
    is($plan->('A'), 'const32 http32 go32 sql go128 http128 const128', 'the limits are measured beside the module');
    is($plan->('A-cached'), 'const32 http32 go32 go128 http128 const128', 'no statements if the answers are cached');
    is($plan->('E'), 'const32 http32 sql http128 const128', 'peers do not serve all work loads');
    my $measured = sub {
        my (@disturbed) = @_;
        my %others = map { $_ => 1 } @disturbed;
        my @runs = Bench::Rounds::measure(\%bench,
            sub { round_of($_[2], 1000, 3000, 6000, others => $others{ $_[2] } ? 0.5 : 0) });
        return scalar(@runs) / 3;
    };
    is_deeply([$measured->(), $measured->(2), $measured->(1 .. 4)], [2, 3, 4],
        'disturbed rounds are repeated, at most as many as planned');
};

subtest 'memory' => sub {
    my $sizes = sub { return [map { [1, $_] } @_] };
    is_deeply([map { (Bench::Memory::verdict($sizes->(@$_)))[1] ? 1 : 0 } [20, 30, 28, 30, 30.5, 29],
            [20, 25, 30, 31, 32, 33]], [1, 0], 'memory may not grow after the warm-up');
    my %works = map { my $name = $_; $name => { requests => [map {"$name$_"} 0 .. 499] } } qw(A B C D1 E);
    is(join(' ', @{ Bench::Memory::requests(\%works) }[0 .. 6]), 'A0 B0 C0 D10 E0 A1 B1', 'the work loads take turns');
};

subtest 'instructions' => sub {
    is(Bench::Instructions::table({ A => 110, B => 5 }, { A => 100 }) =~ s/ +/ /gr,
        "work instructions recorded change\nA 110 100 +10.0 %\nB 5 - -\n", 'the table has the change of each count');
};

# ---- processes ----

subtest 'costs' => sub {
    my $from = { time => 10, machine => 100, own => 5, httpd => { cpu => 20, switches => 1000 } };
    my $to = { time => 12, machine => 104, own => 6, httpd => { cpu => 21.5, switches => 1500 } };
    my $cost = Bench::Processes::cost($from, $to, 'httpd');
    is_deeply($cost->{httpd}, { cpu => 1.5, switches => 500 }, 'the cost is the difference');
    is($cost->{others} * Bench::Processes::cores(), (4 - 1 - 1.5) / 2, 'what is not ours was used by other processes');
    my $child = fork // die $!;
    if (!$child) {
        select undef, undef, undef, 0.01; # a context switch
        Bench::Processes::loop() for 1 .. 3;
        sleep 60;
        exit 0;
    }
    is_deeply([grep { $_ == $child } Bench::Processes::family($$)], [$child], 'a child belongs to the family');
    my ($seconds, $tries) = (0, 0);
    $seconds = Bench::Processes::cpu($child), select undef, undef, undef, 0.05 while $seconds < 0.05 && $tries++ < 200;
    cmp_ok($seconds, '>=', 0.05, 'CPU seconds are counted');
    cmp_ok(Bench::Processes::switches($child), '>', 0, 'context switches are counted');
    cmp_ok(Bench::Processes::pss($child), '>', 0.1, 'the proportional set size is known');
    kill KILL => $child;
    waitpid $child, 0;
};

# ---- the mix ----

my @objects = map { { id => "s$_", me => $_ } } 1 .. 500;
my %works = map { my $name = $_; $name => { requests => [map { { method => 'GET', path => "/$name/$_" } } 1 .. 500] } }
    qw(A B C);
$works{D1} = { objects => \@objects };
my %mix = Bench::Work::mix(undef, \%works);
my @requests = @{ $mix{F}{requests} };

subtest 'the mix has 70 % reads, 25 % auto-saves and 5 % other writes' => sub {
    my %count;
    $count{ $_->{path} =~ m{^/([ABC])/|/(autosave|join|leave)} ? $1 // $2 : 'create' }++ for @requests;
    is_deeply(\%count, { A => 560, B => 560, C => 560, autosave => 600, join => 40, leave => 40, create => 40 },
        'one cycle of both threads');
    for my $thread (0, 1) {
        my @own = @requests[grep { $_ % 2 == $thread } 0 .. $#requests];
        my (%stored, %joined);
        my ($changed, $rejected) = (0, 0);
        for my $request (@own, @own) {
            my ($what) = $request->{path} =~ m{^(/.*)/(?:autosave|join|leave)/?$} or next;
            if ($request->{method} eq 'PUT') {
                $changed++ if $request->{body} ne ($stored{$what} // Bench::Work::save(Bench::Site::diagram(0)));
                $stored{$what} = $request->{body};
                next;
            }
            my $join = $request->{path} =~ /join/ ? 1 : 0;
            $rejected++ if $join == ($joined{"$what $request->{user}"} // 0);
            $joined{"$what $request->{user}"} = $join;
        }
        is($changed, 300, 'half of the auto-saves change the diagram, also in the second cycle');
        is($rejected, 0, 'users join before they leave');
    }
    my %owner;
    $owner{ $requests[$_]{path} }{ $_ % 2 } = 1 for grep { $requests[$_]{method} ne 'GET' } 0 .. $#requests;
    delete $owner{'/api/sessions/'};
    is_deeply([grep { keys %{ $owner{$_} } > 1 } sort keys %owner], [], 'the threads write different objects');
};

subtest 'the diagram has the documented size' => sub {
    my $diagram = JSON::XS->new->decode(Bench::Site::diagram(0));
    is_deeply([map { scalar @{ $diagram->{$_} } } qw(nodes edges)], [28, 14], '28 nodes and 14 edges');
    my $size = length Bench::Site::diagram(0);
    ok($size > 8000 && $size < 8400, '8 KB') || diag($size);
};

# ---- scripts for pgbench ----

subtest 'scripts for pgbench' => sub {
    my $route = { extra_sql => [statement('UPDATE x SET a = $1 WHERE b = $2', qw(hash id))],
        sql => [statement('SELECT id', ()), statement('SELECT $1::bigint, $2::text, $1::int', qw(me id))] };
    my @values = map { { id => "i$_", me => $_, hash => "h$_" } } 0 .. 99;
    my %scripted = (X => { route => 'x', objects => \@values });
    my ($scripts) = Bench::Sql::scripts('X', \%scripted, { x => $route }, 5);
    my ($text, $weight) = @{ $scripts->[0] };
    my ($prologue, @parts) = split /^\\startpipeline\n/m, $text;
    is(scalar @parts, 2 * Bench::Sql::STEPS, 'the extra statement of a request has a pipeline of its own');
    is($parts[2], "UPDATE x SET a = :x_hash_1 WHERE b = :x_id_1;\n\\endpipeline\n", 'parameters become variables');
    is($parts[3], "SELECT id;\nSELECT :x_me_1::bigint, :x_id_1::text, :x_me_1::int;\n\\endpipeline\n",
        'the statements of a request run in one pipeline');
    like($prologue, qr/"id"\[:client_id \* 20 \+ 2\] AS x_id_1\b.*ARRAY\['i0','i1',.*'i99'\] AS "id"/s,
        'each client has its own values');
    ok(!eval { Bench::Sql::check_variables('SELECT :x_id_1, 1::int', {}); 1 }, 'an unknown variable is reported');
    ok(!eval { Bench::Sql::statement(statement(q(SELECT 'a', 'HH24:MI')), sub { }); 1 },
        'a literal that pgbench would change is reported');
    $route->{sql} = [statement('SELECT $1', 'y')];
    ok(!eval { Bench::Sql::scripts('X', \%scripted, { x => $route }, 5); 1 },
        'a parameter without a value is reported');
};

# ---- the chart ----

# A file with the results of these runs.
sub results {
    my @runs = @_;
    my $file = File::Temp->new;
    my $environment = { cpu => 'A <fast> & "quoted" one', cores => 2 };
    print $file JSON::XS->new->utf8->encode({ rows => [Bench::Report::rows(\@runs)], titles => { A => 'GET /a' },
            environment => $environment });
    close $file or die $!;
    return $file;
}

subtest 'the chart' => sub {
    my $results = results(round_of(1, 1000, 3000, 6000), run_of(http => 1234, connections => 128),
        run_of(go => 500));
    my ($svg, $of_128, $table) = map { scalar `t/bench/chart $_` } $results, "$results 128", "-table $results";
    like($svg, qr{\A<!-- SPDX\S+ \S+ -->\n<svg xmlns="http://www.w3.org/2000/svg".*</svg>\n\z}s, 'it is an SVG');
    like($svg, qr/A &#60;fast&#62; &#38; &#34;quoted&#34; one/, 'text is escaped');
    like($svg, qr/>1000, 50 % of the bound, 2\.00 x go</, 'a bar has its rate and its ratios');
    ok($svg =~ />500 go</ && $svg =~ /> ?\|? ?the best peer</, 'the best peer has a bar');
    ok($svg =~ />1234</ && $of_128 =~ />1234</ && $of_128 !~ />1000,/, 'one number of connections can be selected');
    is($table, <<'MARKDOWN', 'a Markdown table has the same numbers');
| work load | requests/s | p50 ms | p99 ms | of the bound | of the best peer |
| --- | --- | --- | --- | --- | --- |
| A: GET /a | 1,000 / 1,234 | 1.0 / 1.0 | 9.0 / 9.0 | 0.50 / - | 2.00 (go) / - |
MARKDOWN
    my ($const, $sql, $rate) = $svg =~ /<rect x="280\.0" y="(?!28\.0)[\d.]+" width="([\d.]+)" height="11"/g;
    ok($sql > $const && $const > $rate, 'larger rates have longer bars');
    $results = results(round_of(1, 1000, 3000, 6000, errors => 3));
    my $invalid = `t/bench/chart $results`;
    like($invalid, qr/#a0a0a0.*>1000 \(errors\)</s, 'a result that does not count is grey, with the reason');
    unlike($invalid, qr/of the bound/, '... and has no ratio');
};

done_testing;
