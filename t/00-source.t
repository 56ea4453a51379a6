# SPDX-License-Identifier: Apache-2.0
# Checks over the source. Each one says which accident it prevents, and fails when it finds nothing to look at.
use strict;
use warnings;

use Cwd qw(getcwd);
use File::Basename qw(dirname);
use File::Find qw(find);
use Test::More;

my @c = sort glob 'mod_learnhub/*.c mod_learnhub/*/*.c';
my @headers = sort glob 'include/*.h mod_learnhub/*.h mod_learnhub/*/*.h';
my @sql = sort glob 'conf/schema/*.sql';
my @text = text_files();

# What the project itself wrote: not what Apache::Test or make put into the tree.
sub text_files {
    my @found;
    my $generated = qr{^\./(?:\.git|build|t/logs|t/htdocs|t/state|t/conf/(?!.*\.in$).*)(?:/|$)};
    find({ no_chdir => 1, wanted => sub {
        if (/$generated/ && !m{^\./\.gitignore$}) { $File::Find::prune = 1; return }
        push @found, substr $_, 2 if -f && -T _;
    } }, '.');
    return sort @found;
}

sub slurp {
    my ($file) = @_;
    open my $in, '<:encoding(UTF-8)', $file or return '';
    local $/;
    return scalar <$in>;
}

# ok() over a list of what is wrong; a check that looked at nothing has checked nothing.
sub none {
    my ($looked_at, $wrong, $name) = @_;
    return fail("$name: found no input") if !$looked_at;
    return ok(!@$wrong, $name) || diag(join "\n", @$wrong[0 .. ($#$wrong < 30 ? $#$wrong : 30)]);
}

# Runs a command; its output when it failed or said something, else nothing.
sub complaints {
    my ($command) = @_;
    my $said = `$command 2>&1`;
    return $? || length $said ? "$command: $said" : ();
}

# [file, header, quoted?] for each #include.
sub includes {
    my @all;
    for my $file (@_) {
        my $source = slurp($file);
        push @all, [$file, $2, $1 eq '"'] while $source =~ /^\s*#\s*include\s*([<"])([^>"]+)/mg;
    }
    return @all;
}

# ---- dependencies: a file that depends on too much cannot be tested or changed alone ----

# Which folders a folder may include; mod_learnhub/README.md draws the same. '' is mod_learnhub/ itself.
my %may_include = (
    include => [],
    util    => [qw(include)],
    crypto  => [qw(include util)],
    core    => [qw(include util crypto)],
    db      => [qw(include util core)],
    http    => [qw(include util crypto core db)],
    auth    => [qw(include util crypto core db http)],
    jobs    => [qw(include util core db http)],
    api     => [qw(include)],
    ''      => [qw(include util crypto core db http auth jobs)],
);
my @includes = includes(@c, @headers);

# The folder of a file, or of a quoted include.
sub folder { my ($file) = @_; return $file =~ m{^include/} ? 'include' : $file =~ m{^mod_learnhub/(\w+)/} ? $1 : '' }

sub target { my ($name) = @_; return -f "include/$name" ? "include/$name" : "mod_learnhub/$name" }

my @quoted = map { [$_->[0], target($_->[1])] } grep { $_->[2] } @includes;
none(scalar @quoted, [map {"$_->[0] includes $_->[1]"} grep { !-f $_->[1] } @quoted],
    'every include of ours is written with its folder');
none(scalar @quoted, [map {"$_->[0] includes $_->[1]"} grep {
    my ($from, $to) = map { folder($_) } @$_;
    $from ne $to && !grep { $_ eq $to } @{ $may_include{$from} // [] }
} @quoted], 'folders depend on each other in one direction');

# Files with the same name but for .c and .h are one node.
sub node { my ($file) = @_; return $file =~ s/\.[ch]$//r }

sub cycles {
    my ($edges) = @_;
    my (%state, @found);
    my $visit;
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
my %edges;
$edges{ node($_->[0]) }{ node($_->[1]) } = 1 for grep { node($_->[0]) ne node($_->[1]) } @quoted;
none(scalar keys %edges, [cycles(\%edges)], 'no cycle between files');

my $httpd = qr{^(?:httpd|http_\w+|ap_\w+|util_\w+|mod_\w+|scoreboard|mpm_common)\.h$};
my $libpq = qr{^(?:libpq-fe|libpq-events|postgres_ext)\.h$};
my %only = (    # the files that may include a foreign library
    'libpq'   => [$libpq,          qr{/db/(?:connect|exchange|result)\.c$}],
    'jansson' => [qr{^jansson\.h$}, qr{/util/json_value\.c$}],
    'curl'    => [qr{^curl/},      qr{/(?:jobs/smtp|model)\.c$}],
);
for my $library (sort keys %only) {
    my ($header, $allowed) = @{ $only{$library} };
    my @users = grep { $_->[1] =~ $header } @includes;
    none(scalar @users, [map {"$_->[0] includes $_->[1]"} grep { $_->[0] !~ $allowed } @users],
        "$library is used in its files only");
}
my @api = grep { $_->[0] =~ m{/api/} } @includes;
my @leaks = grep { $_->[2] ? $_->[1] !~ m{^(?:learnhub\w*|api/shared)\.h$} : $_->[1] =~ /$httpd|$libpq|^jansson|^curl/ } @api;
none(scalar @api, [map {"$_->[0] includes $_->[1]"} @leaks], 'a route file includes the vocabulary and nothing else of ours');
my $plain = qr{/(?:(?:util|crypto)/\w+|db/(?:rows|statement)|http/(?:error|fields|multipart|path|route|route_check)|jobs/mail)\.[ch]$};
my @below = grep { $_->[0] =~ $plain } @includes;
none(scalar @below, [map {"$_->[0] includes $_->[1]"} grep { $_->[1] =~ $httpd } @below],
    'files that a plain C program tests do not include httpd');

# ---- size: what grows past one page is no longer read ----

none(scalar(@c + @headers), [grep { (() = slurp($_) =~ /\n/g) > 500 } @c, @headers], 'no file has more than 500 lines');
my @functions = grep { /\tf\t.*end:/ || /\tfunction\t.*end:/ } `ctags --languages=C --c-kinds=f --fields=+ne -o - @c`;
my @long = grep { /\tline:(\d+).*\tend:(\d+)/ && $2 - $1 + 1 > 60 } @functions;
none(scalar @functions, [map { join ' ', (split /\t/)[0, 1] } @long], 'no function has more than 60 lines');
none(scalar(@c + @headers), [grep { grep { length > 120 } split /\n/, slurp($_) } @c, @headers],
    'no line has more than 120 columns');

# ---- compilers ----

my $make = 'make -s --no-print-directory -f Makefile.apxs';
my $flags = `$make flags`;
chomp $flags;
none(scalar @headers, [map { complaints("gcc $flags -fsyntax-only -x c $_") } @headers],
    'each header compiles alone: the order of includes does not matter');
none(scalar @c, [complaints("$make -j2 build OUT=build/gcc")], 'gcc compiles without a warning');
none(scalar @c, [complaints("$make -j2 build CC=clang OUT=build/clang")], 'clang compiles without a warning');
my @symbols = `nm -D --defined-only build/gcc/mod_learnhub.so`;
none(scalar @symbols, [grep { !/ learnhub_module$/ } @symbols],
    'one exported symbol: other modules of the process are not disturbed');
my @globals = `find build/gcc/obj -name '*.o' -exec nm -g --defined-only {} +`;
none(scalar @globals, [grep { / [A-TV-Z] / && !/ [A-Z] (?:lh_|learnhub_module$)/ } @globals],
    'every global name begins lh_: no clash in a static build');

# ---- form ----

none(scalar(@c + @headers), [grep { `clang-format '$_'` ne `cat '$_'` } @c, @headers, glob 't/unit/*.[ch] t/fuzz/*.c'],
    'clang-format leaves everything as it is (make -f Makefile.apxs format)');
my @licensed = grep { !m{^(?:LICENSE|README\.md|\.gitignore|CHANGES.*|.*\.(?:md|json|txt|html|csv|png))$} } @text;
my $spdx = qr/\A(?:#![^\n]*\n)?[^\n]*SPDX-License-Identifier: Apache-2\.0/;
my @silent = grep { -s && slurp($_) !~ $spdx } @licensed;
none(scalar @licensed, \@silent, 'the licence is the first line of each file');
none(scalar @text, [grep { slurp($_) =~ /[ \t]+$/m } @text], 'no white space at the end of a line: diffs stay small');
none(scalar @text, [grep { -s && slurp($_) !~ /\n\z/ } @text], 'every file ends with a new line');
none(scalar @c, [grep { slurp($_) =~ /\t/ } @c, @headers, @sql], 'no tabs');
none(scalar @text, [grep { slurp($_) =~ /\b(?:TO(?:DO)|FIX(?:ME)|XX(?:X))\b/ } @text], 'nothing is left for later');

# ---- what must not leave this machine ----

my $registry = qr{\b(?:deb|security|archive|ports|pypi|files|registry|crates|index|proxy|sum|metacpan|www|cpan|fastapi)?\.?
    (?:debian|ubuntu|pypi|pythonhosted|npmjs|crates|cpan|metacpan|golang|rubygems|docker)\.(?:org|com|io|net)\b}x;
none(scalar @text, [grep { slurp($_) =~ $registry } @text], 'no host of a package registry is named');
none(scalar @text, [grep { slurp($_) =~ m{(?<![\w.\$\}])/(?:work|farm|root)/|/home/[a-z]} } @text],
    'no path of one machine');

# ---- directives: the forgotten line is silent ----

my $config = slurp('mod_learnhub/core/config.c');
my %member = $config =~ /^\s*DIRECTIVE\("(LearnHub\w*)",\s*\w+,\s*(\w+)/mg;
my @directives = sort keys %member;
for my $document ('conf/learnhub.conf', 'conf/DIRECTIVES.md') {
    my $said = slurp($document);
    none(scalar @directives, [grep { $said !~ /\b$_\b/ } @directives], "$document has every directive");
}
my %known = map { $_ => 1 } @directives;
my @mentioned = grep { !/^LearnHub(?:::|$)/ } map { slurp($_) =~ /^\s*#?\s*(LearnHub[A-Z]\w*)\s/mg } 'conf/learnhub.conf';
none(scalar @mentioned, [grep { !$known{$_} } @mentioned], 'conf/learnhub.conf has no directive that is gone');
my @listed = slurp('conf/learnhub.conf') =~ /^\s*#?(LearnHub\w*)\s/mg;
my @headings = slurp('conf/DIRECTIVES.md') =~ /^#+ (LearnHub\w*)$/mg;
is_deeply(\@headings, \@listed, 'conf/DIRECTIVES.md and conf/learnhub.conf list the directives in the same order');
my ($struct) = slurp('mod_learnhub/core/config.h') =~ /typedef struct lh_config \{(.*?)\} lh_config;/s;
($struct //= '') =~ s{/\*.*?\*/}{}gs;
my @members = map { map { /(\w+)\s*$/ } split /,/ } $struct =~ /([^;]+);/g;
my %covered = map { $_ => 1 } values %member;
none(scalar @members, [grep { !$covered{$_} } @members],
    'every setting has its row, so it is created, merged and completed');

# ---- log messages: operators look them up by their number ----

my %log_number;
for my $file (@c) {
    my $source = slurp($file);
    push @{ $log_number{$1} }, $file while $source =~ /\bLH_LOG\((\w+)\)/g;
}
my $calls = () = map { slurp($_) =~ /\bap_log_r?error\(/g } @c;
my $numbered = () = map { slurp($_) =~ /\bap_log_r?error\((?:[^;]*?)\bLH_LOG\(\d{4}\)/g } @c;
is($numbered, $calls, 'every log message has a number of four digits');
none(scalar keys %log_number, [map {"$_: @{ $log_number{$_} }"} grep { @{ $log_number{$_} } > 1 } sort keys %log_number],
    'a log number is used once');
my %listed = map { $_ => 1 } slurp('conf/OPERATING.md') =~ /^\| `?LH(\d{4})/mg;
none(scalar keys %listed, [grep { !$listed{$_} } sort keys %log_number], 'conf/OPERATING.md lists every log number');
none(scalar keys %listed, [grep { !$log_number{$_} } sort keys %listed], 'conf/OPERATING.md lists no log number that is gone');

# ---- documents ----

cmp_ok(scalar(() = slurp('README.md') =~ /\n/g), '<=', 150, 'README.md has at most 150 lines');
my @documents = grep {/\.md$/} @text;
my @links = map { my $file = $_; map { [$file, $_] } slurp($file) =~ /\]\((?!https?:|#)([^)#\s]+)/g } @documents;
none(scalar @links, [map {"$_->[0]: $_->[1]"} grep { !-e dirname($_->[0]) . "/$_->[1]" } @links],
    'links between documents lead to files');
my @quotes = slurp('mod_learnhub/README.md') =~ /^`([\w.\/-]+)`:\n\n```\w*\n(.*?)^```$/msg;
my @stale;
while (my ($file, $code) = splice @quotes, 0, 2) {
    push @stale, "$file: $code" if index(slurp($file), $code) < 0;
}
none(scalar(slurp('mod_learnhub/README.md') =~ /^`[\w.\/-]+`:$/m), \@stale,
    'the code in mod_learnhub/README.md is the code of the files that it names');
none(scalar @text, [grep { $_ ne 'LICENSE' && $_ !~ m{^t/00} && slurp($_) =~ /\bcontract section\b|\bseeds'? (?:document|practice|tutoring|coding|mentoring|xp)\b|\bthe contract\b/i } @text],
    'no text refers to documents that are not here');

# ---- scripts, tests, migrations ----

my @tests = (glob('t/*.t'), 't/TEST', glob 't/lib/LearnHub/*.pm');
local $ENV{LEARNHUB_TOP} = $ENV{LEARNHUB_TOP} || getcwd;
none(scalar @tests, [grep { !/syntax OK/ } map { scalar `perl -It/lib -c $_ 2>&1` } @tests],
    'every test parses: a broken one would only be missed late');
my @shell = grep { slurp($_) =~ m{\A#!/bin/sh} } @text;
none(scalar @shell, [map { complaints("sh -n '$_'") } @shell], 'every shell script parses');
none(scalar @shell, [grep { !-x } @shell], 'every shell script can be run');
my @numbers = map { m{/(\d{4})_\w+\.sql$} ? $1 + 0 : 0 } @sql;
none(scalar @sql, "@numbers" eq join(' ', 1 .. @sql) ? [] : [@sql], 'migrations are numbered without a gap');
none(scalar @sql, [grep { slurp($_) =~ /^\s*(?:BEGIN|COMMIT|ROLLBACK|START TRANSACTION)\s*;/mi } @sql],
    'a migration leaves its transaction to the runner: half of it is never applied');

done_testing;
