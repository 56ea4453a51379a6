# SPDX-License-Identifier: Apache-2.0
# The rules of the benchmark in t/bench: which results count, the requests of the mix, the scripts for pgbench, the
# chart. The measurements themselves need wrk and a quiet machine: make -f Makefile.apxs bench.
use strict;
use warnings;

use File::Temp ();
use JSON::XS ();
use Test::More;

use lib 't/bench';
use Bench::Instructions ();
use Bench::Processes ();
use Bench::Report ();
use Bench::Sql ();
use Bench::Work ();

# ---- results ----

sub run_of {
    my ($kind, $rate, %with) = @_;
    return { work => 'A', kind => $kind, connections => 32, rate => $rate, requests => 10 * $rate, p50 => 1, p99 => 9,
        pss => 20, errors => 0, wrong => [], others => 0.01, loops => [0.1, 0.1],
        httpd => { cpu => 2, switches => 20 * $rate }, postgresql => { cpu => 1, switches => 0 }, %with };
}

my @limits = (run_of(const => 3000), run_of(sql => 6000, connections => undef));

subtest 'medians, the bound and the ratio' => sub {
    my @rows = Bench::Report::rows([map({ run_of(http => $_) } 900, 5000, 1000), @limits,
            run_of(http => 400, connections => 128), run_of(const => 1500, connections => 128)]);
    is_deeply([map {"$_->{work} $_->{connections} $_->{rate}"} @rows], ['A 32 1000', 'A 128 400'],
        'there is a row for each number of connections, with the median of its runs');
    is(sprintf('%.3f', $rows[0]{bound}), '2000.000', 'the bound is 1 / (1/const + 1/sql)');
    is(sprintf('%.3f', $rows[0]{ratio}), '0.500', 'the ratio is that of the median to the bound');
    is(sprintf('%.3f', $rows[1]{bound}), '1200.000', 'const is that of the same number of connections');
    is(sprintf('%.2f %.2f', @{ $rows[0] }{qw(httpd_cpu switches)}), '0.20 2.00',
        'CPU seconds are per 1,000 requests, context switches per request');
    is(Bench::Report::median(4, 1, 3, 2), 2.5, 'the median of an even number is the mean of the middle two');
    like(Bench::Report::table(@rows), qr/^A +32 +1000 +1\.00 +9\.00 +0 +3000 +6000 +2000 +0\.50 /m,
        'the table has the medians, the limits and the ratio');
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
            my @runs = (run_of(http => 1000), run_of(http => 1000), @limits);
            push @runs, run_of($kind => 1000, %{ $fault{$name} });
            my ($row) = Bench::Report::rows(\@runs);
            is_deeply([$row->{ratio}, $row->{faults}], [undef, [$name]], "$name in one run of $kind");
            like(Bench::Report::table($row), qr/ -  .* $name$/m, 'the table has a dash and the reason');
            like(Bench::Report::legend($row), qr/^$name: .*\w\n\z/, 'the legend explains the reason');
        }
    }
    my ($row) = Bench::Report::rows([run_of(http => 1000, others => 0.049, loops => [0.1, 0.114]), @limits]);
    ok($row->{ratio}, 'small disturbances are accepted');
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

sub statement { my ($sql, @parameters) = @_; return { sql => $sql, parameters => \@parameters } }

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

# The chart of these runs.
sub chart {
    my @runs = @_;
    my $file = File::Temp->new;
    my $environment = { cpu => 'A <fast> & "quoted" one', cores => 2 };
    print $file JSON::XS->new->utf8->encode({ rows => [Bench::Report::rows(\@runs)], titles => { A => 'GET /a' },
            environment => $environment });
    close $file or die $!;
    return scalar `t/bench/chart $file`;
}

subtest 'the chart' => sub {
    my $svg = chart(run_of(http => 1000), @limits);
    like($svg, qr{\A<svg xmlns="http://www.w3.org/2000/svg".*</svg>\n\z}s, 'it is an SVG');
    like($svg, qr/A &#60;fast&#62; &#38; &#34;quoted&#34; one/, 'text is escaped');
    like($svg, qr/>1000, 50 % of the bound</, 'a bar has its rate and its ratio');
    my ($const, $sql, $rate) = $svg =~ /<rect x="280\.0" y="(?!28\.0)[\d.]+" width="([\d.]+)" height="11"/g;
    ok($sql > $const && $const > $rate, 'larger rates have longer bars');
    my $invalid = chart(run_of(http => 1000, errors => 3), @limits);
    like($invalid, qr/#a0a0a0.*>1000 \(errors\)</s, 'a result that does not count is grey, with the reason');
    unlike($invalid, qr/of the bound/, '... and has no ratio');
};

done_testing;
