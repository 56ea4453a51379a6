# SPDX-License-Identifier: Apache-2.0
# Checks over the source. Each one says which accident it prevents, and fails when it finds nothing to look at.
use strict;
use warnings;

use Cwd qw(getcwd);
use File::Find qw(find);
use Test::More;

my @c = sort glob 'mod_learnhub/*.c mod_learnhub/api/*.c';
my @headers = sort glob 'include/*.h mod_learnhub/*.h';
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

# ---- layers: a file that knows too much cannot be tested or changed alone ----

my $httpd = qr{^(?:httpd|http_\w+|ap_\w+|util_\w+|mod_\w+|scoreboard|mpm_common)\.h$};
my $libpq = qr{^(?:libpq-fe|libpq-events|postgres_ext)\.h$};
my %only = ( # who may know a foreign library; server/catalog OIDs are plain numbers
    'libpq' => [$libpq, qr{/(?:pool|connect|sql|exchange)\.[ch]$}],
    'jansson' => [qr{^jansson\.h$}, qr{/(?:body|jwt|rates)\.[ch]$}],
    'curl' => [qr{^curl/}, qr{/(?:smtp|rates)\.[ch]$}],
);
my @includes = includes(@c, @headers);
for my $library (sort keys %only) {
    my ($header, $allowed) = @{ $only{$library} };
    my @wrong = map { "$_->[0] includes $_->[1]" } grep { $_->[1] =~ $header && $_->[0] !~ $allowed } @includes;
    none(scalar @includes, \@wrong, "$library stays in its files");
}
my @api = grep { $_->[0] =~ m{/api/} } @includes;
my @leaks = grep { $_->[2] ? $_->[1] ne 'learnhub.h' : $_->[1] =~ /$httpd|$libpq|^jansson|^curl/ } @api;
none(scalar @api, [map { "$_->[0] includes $_->[1]" } @leaks], 'an API file knows learnhub.h and nothing else of ours');
my $plain = qr{/(?:canon|fields|json|jwt|mail|multipart|password|photo|rows|route|problem|statement|text)\.[ch]$};
my @below = grep { $_->[0] =~ $plain } @includes;
none(scalar @below, [map { "$_->[0] includes $_->[1]" } grep { $_->[1] =~ $httpd } @below],
    'the files that a plain C program tests know no httpd');

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
none(scalar @headers, [map { complaints("gcc $flags -Imod_learnhub -fsyntax-only -x c $_") } @headers],
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

my $config = slurp('mod_learnhub/config.c');
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
my ($struct) = slurp('mod_learnhub/config.h') =~ /typedef struct lh_config \{(.*?)\} lh_config;/s;
($struct //= '') =~ s{/\*.*?\*/}{}gs;
my @members = map { map { /(\w+)\s*$/ } split /,/ } $struct =~ /([^;]+);/g;
my %covered = map { $_ => 1 } values %member;
none(scalar @members, [grep { !$covered{$_} } @members],
    'every setting has its row, so it is created, merged and completed');

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
