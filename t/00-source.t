# SPDX-License-Identifier: Apache-2.0
# Checks of the source. Each check fails if it finds no input.
use strict;
use warnings;

use Cwd qw(abs_path getcwd);
use File::Basename qw(basename dirname);
use File::Find qw(find);
use Perl::Tidy ();
use Test::More;

my @c = sort glob 'mod_learnhub/*.c mod_learnhub/*/*.c';
my @headers = sort glob 'include/*.h mod_learnhub/*.h mod_learnhub/*/*.h';
my @sql = sort glob 'conf/schema/*.sql';
my @tests = (
    glob('t/*.t t/faults/*.t t/cluster/*.t t/frontends/*.t'), qw(t/TEST t/bench/bench t/bench/chart t/bench/growth),
    qw(conf/learnhub-ctl conf/manual), glob 't/lib/LearnHub/*.pm t/bench/Bench/*.pm conf/LearnHubCtl/*.pm'
);
my @scripts = sort glob 't/described/*.js t/frontends/*.js t/frontends/*/*.js conf/docs/*.js';
my @pages = (@scripts, glob 't/frontends/*.css t/frontends/*/*.html conf/docs/*.css');
my @text = text_files();

# The text files of the project, without what Apache::Test and make generate.
sub text_files {
    my @found;
    my $generated = qr{^\./(?:\.git|build|t/logs|t/htdocs|t/state|t/conf/(?!.*\.in$).*)(?:/|$)};
    my $wanted = sub {
        if (/$generated/ && !m{^\./\.gitignore$}) { $File::Find::prune = 1; return }
        push @found, substr $_, 2 if -f && -T _;
    };
    find({ no_chdir => 1, wanted => $wanted }, '.');
    return sort @found;
}

sub slurp {
    my ($file) = @_;
    open my $in, '<:encoding(UTF-8)', $file or return '';
    local $/;
    return scalar <$in>;
}

# Passes if the list of faults is empty. $inputs is the number of items checked; a check of no items fails.
sub none {
    my ($inputs, $wrong, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return fail("$name: found no input") if !$inputs;
    return ok(!@$wrong, $name) || diag(join "\n", @$wrong[0 .. ($#$wrong < 30 ? $#$wrong : 30)]);
}

# Runs a command; returns its output if it failed or wrote anything, else nothing.
sub failure_output {
    my ($command) = @_;
    my $output = `$command 2>&1`;
    return $? || length $output ? "$command: $output" : ();
}

# [file, header, whether it is quoted] for each #include.
sub includes {
    my @all;
    for my $file (@_) {
        my $source = slurp($file);
        push @all, [$file, $2, $1 eq '"'] while $source =~ /^\s*#\s*include\s*([<"])([^>"]+)/mg;
    }
    return @all;
}

# The files whose text meets a condition.
sub files_where {
    my ($condition, @files) = @_;
    return grep { my $text = slurp($_); $condition->($text) } @files;
}

my @sources = (@c, @headers);
my @includes = includes(@sources);

subtest 'dependencies' => sub {

    # Which folders a folder may include; mod_learnhub/README.md has an overview. '' is mod_learnhub/ itself.
    my %may_include = (
        include => [],
        util => [qw(include)],
        crypto => [qw(include util)],
        core => [qw(include util crypto)],
        db => [qw(include util core)],
        http => [qw(include util crypto core db)],
        auth => [qw(include util crypto core db http)],
        jobs => [qw(include util core db http)],
        model => [qw(include util core http)],
        openapi => [qw(include util core http)],
        pages => [qw(include util crypto core http)],
        api => [qw(include)],
        metrics => [qw(include util core db http jobs)],
        '' => [qw(include util crypto core db http auth jobs model metrics openapi pages)],
    );
    my $target = sub { my ($name) = @_; return -f "include/$name" ? "include/$name" : "mod_learnhub/$name" };
    my @quoted = map { [$_->[0], $target->($_->[1])] } grep { $_->[2] } @includes;
    my @wrong = grep {
        my ($from, $to) = map { folder($_) } @$_;
        $from ne $to && !grep { $_ eq $to } @{ $may_include{$from} // [] }
    } @quoted;
    none(scalar @quoted, [map {"$_->[0] includes $_->[1]"} grep { !-f $_->[1] } @quoted],
        'project headers are included with their folder');
    none(scalar @quoted, [map {"$_->[0] includes $_->[1]"} @wrong], 'folders depend on each other in one direction');
    my %edges;
    $edges{ node($_->[0]) }{ node($_->[1]) } = 1 for grep { node($_->[0]) ne node($_->[1]) } @quoted;
    none(scalar keys %edges, [cycles(\%edges)], 'no cycle between files');
};

# The folder of a file; '' is mod_learnhub/ itself.
sub folder { my ($file) = @_; return $file =~ m{^include/} ? 'include' : $file =~ m{^mod_learnhub/(\w+)/} ? $1 : '' }

# foo.c and foo.h are one node.
sub node { my ($file) = @_; return $file =~ s/\.[ch]$//r }

# The cycles of a graph, each as the path that closes it.
sub cycles {
    my ($edges) = @_;
    my (%state, @found, $visit);
    $visit = sub {
        my (@path) = @_;
        $state{ $path[-1] } = 'open';
        for my $next (sort keys %{ $edges->{ $path[-1] } || {} }) {
            push @found, join ' -> ', @path, $next if ($state{$next} // '') eq 'open';
            $visit->(@path, $next) if !$state{$next};
        }
        $state{ $path[-1] } = 'done';
    };
    $visit->($_) for grep { !$state{$_} } sort keys %$edges;
    return @found;
}

subtest 'each library is used in a few files' => sub {
    my $httpd = qr{^(?:httpd|http_\w+|ap_\w+|util_\w+|mod_\w+|scoreboard|mpm_common)\.h$};
    my $libpq = qr{^(?:libpq-fe|libpq-events|postgres_ext)\.h$};
    my %only = ( # the files that may include a library
        libpq => [$libpq, qr{/(?:db/(?:cancel|connect|exchange|hosts|result|session)|core/conninfo)\.c$}],
        jansson => [qr{^jansson\.h$}, qr{/util/json_value\.c$}],
        curl => [qr{^curl/}, qr{/(?:jobs/smtp|model/model)\.c$}],
    );
    for my $library (sort keys %only) {
        my ($header, $allowed) = @{ $only{$library} };
        my @users = grep { $_->[1] =~ $header } @includes;
        none(scalar @users, [map {"$_->[0] includes $_->[1]"} grep { $_->[0] !~ $allowed } @users],
            "$library is included in no other file");
    }
    my $vocabulary = qr{^(?:learnhub\w*|api/shared)\.h$};
    my $foreign = qr/$httpd|$libpq|^jansson|^curl/;
    my @api = grep { $_->[0] =~ m{/api/} } @includes;
    my @leaks = grep { $_->[2] ? $_->[1] !~ $vocabulary : $_->[1] =~ $foreign } @api;
    none(scalar @api, [map {"$_->[0] includes $_->[1]"} @leaks], 'route files include include/ and api/shared.h only');
    my $plain = qr{/(?:(?:util|crypto)/\w+|db/(?:rows|statement)|jobs/mail
        |http/(?:error|fields|form|json_body|multipart|path|route|route_check))\.[ch]$}x;
    my @below = grep { $_->[0] =~ $plain } @includes;
    none(scalar @below, [map {"$_->[0] includes $_->[1]"} grep { $_->[1] =~ $httpd } @below],
        'files that plain C programs test do not include httpd');
};

subtest 'sizes' => sub {
    my @functions = grep {/\tf(?:unction)?\t.*end:/} `ctags --languages=C --c-kinds=f --fields=+ne -o - @c`;
    my @long = grep { /\tline:(\d+).*\tend:(\d+)/ && $2 - $1 + 1 > 60 } @functions;
    none(scalar @functions, [map { join ' ', (split /\t/)[0, 1] } @long], 'no function has more than 60 lines');
    none(scalar @sources, [files_where(sub { ($_[0] =~ tr/\n//) > 500 }, @sources, @pages)],
        'no file has more than 500 lines');
    my @wide;
    for my $file (@sources, @tests, @pages) {
        my $number = 0;
        push @wide, map { $number++; length > 120 ? "$file:$number" : () } split /\n/, slurp($file);
    }
    none(scalar @sources, \@wide, 'no line of C, of a test or of a page has more than 120 columns');
};

my $make = 'make -s --no-print-directory -f Makefile.apxs';
chomp(my $flags = `$make flags`);

subtest 'compilers' => sub {
    none(scalar @headers, [map { failure_output("gcc $flags -fsyntax-only -x c $_") } @headers],
        'each header compiles alone: the order of includes does not matter');
    none(scalar @c, [failure_output("$make -j2 build")], 'gcc compiles without a warning');
    none(scalar @c, [failure_output("$make -j2 build CC=clang OUT=build/clang")], 'clang compiles without a warning');
    none(scalar @c, [failure_output("$make cppcheck")], 'cppcheck finds nothing (make -f Makefile.apxs analyse)');
    my @symbols = `nm -D --defined-only build/mod_learnhub.so`;
    none(scalar @symbols, [grep { !/ learnhub_module$/ } @symbols],
        'the module exports learnhub_module only');
    my @globals = `find build/obj -name '*.o' -exec nm -g --defined-only {} +`;
    none(scalar @globals, [grep { / [A-TV-Z] / && !/ [A-Z] (?:lh_|learnhub_module$)/ } @globals],
        'global names begin with lh_');
};

sub is_tidy {
    my ($file) = @_;
    my ($tidied, $errors) = ('', '');
    Perl::Tidy::perltidy(argv => '', perltidyrc => '.perltidyrc', source => $file, destination => \$tidied,
        stderr => \$errors, errorfile => \$errors);
    return $tidied . $errors eq do { local (@ARGV, $/) = $file; <> };
}

subtest 'format' => sub {
    my @formatted = (@sources, glob 't/unit/*.[ch] t/fuzz/*.[ch] t/lib/*.c t/bench/*.c');
    none(scalar @formatted, [failure_output("clang-format --dry-run -Werror @formatted")],
        'C files have the format of clang-format (make -f Makefile.apxs format)');
    none(scalar @tests, [grep { !is_tidy($_) } @tests],
        'tests have the format of perltidy (make -f Makefile.apxs format)');
    my $prescribed = qr{conf/debian/(?:changelog|copyright|source/format)}; # their formats have no place for it
    my @licensed = grep { !m{^(?:LICENSE|\.gitignore|$prescribed|.*\.(?:md|json|txt|csv|png))$} } @text;
    my $spdx = qr/\A(?:#![^\n]*\n)?[^\n]*SPDX-License-Identifier: Apache-2\.0/;
    none(scalar @licensed, [files_where(sub { length $_[0] && $_[0] !~ $spdx }, @licensed)],
        'each file begins with its licence');
    none(scalar @text, [files_where(sub { $_[0] =~ /[ \t]+$/m }, @text)], 'no white space at the end of a line');
    none(scalar @text, [files_where(sub { length $_[0] && $_[0] !~ /\n\z/ }, @text)],
        'every file ends with a new line');
    none(scalar @c, [files_where(sub { $_[0] =~ /\t/ }, @sources, @sql)], 'no tabs in C and SQL');
    my $unfinished = qr/\b(?:TO(?:DO)|FIX(?:ME)|XX(?:X))\b/;
    none(scalar @text, [files_where(sub { $_[0] =~ $unfinished }, @text)], 'no marks of unfinished work');
};

subtest 'no reference to the machine of a developer' => sub {
    my $registry = qr{\b(?:(?:deb|security|archive|ports|files|registry|index|proxy|sum|www)\.)?
        (?:debian|ubuntu|pypi|pythonhosted|npmjs|crates|cpan|metacpan|golang|rubygems|docker)\.(?:org|com|io|net)\b}x;
    my $path = qr{(?<![\w.\$\}])/(?:work|farm|root)/|/home/[a-z]};
    my @free = grep { $_ ne 'conf/debian/copyright' } @text; # begins with the address of its format
    none(scalar @free, [files_where(sub { $_[0] =~ $registry }, @free)], 'no host of a package registry');
    none(scalar @text, [files_where(sub { $_[0] =~ $path }, @text)], 'no path of one machine');
};

subtest 'directives' => sub {
    my ($file) = files_where(sub { $_[0] =~ /^\s*DIRECTIVE\("/m }, @c);
    my @rows = slurp($file // '') =~ /^\s*DIRECTIVE\("(LearnHub\w*)",\s*\w+,\s*(\w+)/mg;
    my @directives = @rows[grep { $_ % 2 == 0 } 0 .. $#rows];
    my %covered = @rows ? reverse @rows : ();
    my @listed = slurp('conf/learnhub.conf') =~ /^\s*#?(LearnHub\w*)\s/mg;
    my @headings = slurp('conf/DIRECTIVES.md') =~ /^#+ (LearnHub\w*)$/mg;
    cmp_ok(scalar @directives, '>', 20, 'the table of directives is found');
    is_deeply(\@listed, \@directives, 'conf/learnhub.conf lists every directive, in the order of the table');
    is_deeply(\@headings, \@directives, 'conf/DIRECTIVES.md lists every directive, in the order of the table');
    my ($struct) = slurp('mod_learnhub/core/config.h') =~ /typedef struct lh_config \{(.*?)\} lh_config;/s;
    ($struct //= '') =~ s{/\*.*?\*/}{}gs;
    my @members = map { map {/(\w+)\s*$/} split /,/ } $struct =~ /([^;]+);/g;
    none(scalar @members, [grep { !$covered{$_} } @members],
        'every member of lh_config has a directive: it is created, merged and gets its default');
};

subtest 'numbers of log messages' => sub {
    my %used;
    for my $file (@c) {
        push @{ $used{$_} }, $file for slurp($file) =~ /\bLH_LOG\((\w+)\)/g;
    }
    my $calls = () = map { slurp($_) =~ /\bap_log_r?error\(/g } @c;
    my $numbered = () = map { slurp($_) =~ /\bap_log_r?error\([^;]*?\bLH_LOG\(\d{4}\)/g } @c;
    my %listed = map { $_ => 1 } slurp('conf/OPERATING.md') =~ /^\| `?LH(\d{4})/mg;
    is($numbered, $calls, 'every log message has a number of four digits');
    none(scalar keys %used, [map {"$_: @{ $used{$_} }"} grep { @{ $used{$_} } > 1 } sort keys %used],
        'every log number is used once');
    is_deeply([sort keys %listed], [sort keys %used], 'conf/OPERATING.md lists every log number, and no other');
};

subtest 'documents' => sub {
    my @documents = grep {/\.md$/} @text;
    my @links;
    for my $file (@documents) {
        push @links, map { [$file, $_] } slurp($file) =~ /\]\((?!https?:|#)([^)#\s]+)/g;
    }
    cmp_ok(scalar(() = slurp('README.md') =~ /\n/g), '<=', 150, 'README.md has at most 150 lines');
    my ($last) = slurp('README.md') =~ /applying (\d\w+)\n.*applying demo/;
    my $newest = (sort map { basename($_, '.sql') } glob 'conf/schema/*.sql')[-1];
    is($last, $newest, 'README.md names the last migration');
    my ($needed) = slurp('mod_learnhub/db/session.h') =~ /#define LH_SESSION_SCHEMA (\d+)\n/;
    is($needed, $newest =~ s/^0*(\d+)_.*/$1/r, 'LH_SESSION_SCHEMA is the number of the last migration');
    none(scalar @links, [map {"$_->[0]: $_->[1]"} grep { !-e dirname($_->[0]) . "/$_->[1]" } @links],
        'links lead to files');
    my (%anchors, @lost);
    for my $file (@documents) {
        my @headings = slurp($file) =~ /^#+ (.*)$/mg;
        $anchors{ abs_path($file) . '#' . lc s/[^\w -]//gr =~ tr/ /-/r } = 1 for @headings;
    }
    for my $file (@documents) {
        for my $link (slurp($file) =~ /\]\((?!https?:)([^)\s]*#[^)\s]+)/g) {
            my ($path, $anchor) = split /#/, $link;
            my $target = length $path ? dirname($file) . "/$path" : $file;
            push @lost, "$file: $link" if !$anchors{ (abs_path($target) // '') . "#$anchor" };
        }
    }
    none(scalar keys %anchors, \@lost, 'and to headings');
    my @quotes = slurp('mod_learnhub/README.md') =~ /^ *`([\w.\/-]+)`:\n\n *```\w*\n(.*?)^ *```$/msg;
    my ($count, @stale) = (@quotes / 2);
    while (my ($file, $code) = splice @quotes, 0, 2) {
        push @stale, "$file: $code" if index(slurp($file), $code) < 0;
    }
    none($count, \@stale, 'the code in mod_learnhub/README.md is the code of the files that it names');
    my $absent = qr/\bcontract section\b|\bseeds'|\bthe contract\b/i;
    my @checked = grep { $_ ne 'LICENSE' && $_ ne 't/00-source.t' } @text;
    none(scalar @checked, [files_where(sub { $_[0] =~ $absent }, @checked)],
        'no reference to documents outside of the repository');
};

# The items of ASVS 4.0.3, levels 1 and 2, of the chapters in conf/SECURITY.md.
my @asvs = map { expanded($_) } qw(2.1.1-12 2.2.1-3 2.3.1-3 2.4.1-5 2.5.1-7 2.6.1-3 2.7.1-6 2.8.1-7 2.9.1-3 2.10.1-4
    3.1.1 3.2.1-4 3.3.1-4 3.4.1-5 3.5.1-3 3.7.1 4.1.1-3 4.1.5 4.2.1-2 4.3.1-3 5.1.1-5 5.2.1-8 5.3.1-10 5.4.1-3 5.5.1-4
    7.1.1-4 7.2.1-2 7.3.1 7.3.3-4 7.4.1-3 8.1.1-4 8.2.1-3 8.3.1-8 9.1.1-3 9.2.1-4 13.1.1 13.1.3-5 13.2.1-3 13.2.5-6
    13.3.1-2 13.4.1-2);

# 2.7.1-6 is 2.7.1, 2.7.2 ... 2.7.6.
sub expanded {
    my ($section, $first, $last) = $_[0] =~ /^(\d+\.\d+)\.(\d+)(?:-(\d+))?$/;
    return map {"$section.$_"} $first .. $last // $first;
}

subtest 'the tables of conf/SECURITY.md' => sub {
    my @lines = grep {/^\| (?:API\d|\d+\.\d)/} split /\n/, slurp('conf/SECURITY.md');
    my @rows = map { [split /\s*\|\s*/, s/^\| //r] } @lines; # item, status, what holds it, what shows it
    my %count;
    $count{$_}++ for map { $_->[0] =~ /^(API\d+)/ ? $1 : expanded($_->[0] =~ s/ .*//r) } @rows;
    is_deeply(\%count, { map { $_ => 1 } @asvs, map {"API$_"} 1 .. 10 }, 'every item has one row');
    none(scalar @rows, [map { $_->[0] } grep { $_->[1] !~ /^(?:holds|does not hold|does not apply)$/ } @rows],
        'every row has a status');
    my $evidence = qr{t/(?:faults/)?\d\d-|reading: `};
    none(scalar @rows, [map { $_->[0] } grep { $_->[1] eq 'holds' && ($_->[3] // '') !~ $evidence } @rows],
        'what holds is shown by a test, or by a file to read');
    my @shown = map { my $row = $_; map { [$row->[0], $_] } split /; /, $row->[3] // '' } @rows;
    none(scalar @shown, [map {"$_->[0]: $_->[1]"} grep { !is_there($_->[1]) } @shown],
        'the tests, subtests and files exist');
};

# "t/nn-name.t: *subtest*", "t/nn-name.t", or "reading: `file`, `file`", where mod_learnhub/ may be left out.
sub is_there {
    my ($evidence) = @_;
    if (my ($files) = $evidence =~ /^reading: (`.*`)$/) {
        return !grep { !-e && !-e "mod_learnhub/$_" } $files =~ /`([^`]+)`/g;
    }
    my ($file, $name) = $evidence =~ m{^(t/(?:faults/)?[\w-]+\.t)(?:: \*([^*]+)\*)?$} or return 0;
    return -f $file && (!$name || slurp($file) =~ /^\s*subtest (['"])\Q$name\E\1/m);
}

subtest 'scripts, tests, migrations' => sub {
    local $ENV{LEARNHUB_TOP} = $ENV{LEARNHUB_TOP} || getcwd;
    my @others = grep { !m{^t/(?:(?:faults/|frontends/)?[\w-]+\.t$|lib/)} } @tests;
    none(scalar @others, [grep { !/syntax OK/ } map { scalar `perl -It/lib -It/bench -Iconf -c $_ 2>&1` } @others],
        'every script that the suite does not run parses');
    none(scalar @scripts, [map { failure_output("node --check '$_'") } @scripts], 'every script parses');
    my @frontends = map {m{(\w+)\.t$}} glob 't/frontends/*.t';
    my %of = (docs => ['flow.js']); # its pages are those of the module
    my @parts = map { my $name = $_; map {"t/frontends/$name/$_"} @{ $of{$name} || [qw(index.html app.js flow.js)] } }
        @frontends;
    none(scalar @frontends, [grep { !-f } @parts], 'every front end has a page and a flow');
    my @shell = files_where(sub { $_[0] =~ m{\A#!/bin/sh} }, @text);
    none(scalar @shell, [map { failure_output("sh -n '$_'") } @shell], 'every shell script parses');
    none(scalar @shell, [grep { !-x } @shell], 'every shell script is executable');
    my @numbers = map { m{/(\d{4})_\w+\.sql$} ? $1 + 0 : 0 } @sql;
    is("@numbers", join(' ', 1 .. @sql), 'migrations are numbered without a gap');
    none(scalar @sql, [files_where(sub { $_[0] =~ /^\s*(?:BEGIN|COMMIT|ROLLBACK|START TRANSACTION)\s*;/mi }, @sql)],
        'migrations have no transaction statements: the migrate script applies each in one transaction');
};

done_testing;
