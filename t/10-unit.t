# SPDX-License-Identifier: Apache-2.0
# Compiles each t/unit/*.c with the files that do not include httpd and runs it: with the address and
# undefined-behaviour sanitizers, and again under valgrind. Each of its TAP lines is a test of a subtest.
use strict;
use warnings;

use File::Basename qw(basename);
use Test::More;

my @programs = sort glob 't/unit/*.c';
my @plain = grep { !m{/api/} && !needs_httpd($_) } glob 'mod_learnhub/*/*.c';
my $make = 'make -s --no-print-directory -f Makefile.apxs';
chomp(my $flags = `$make flags`);
my $link = '$(apr-1-config --link-ld) $(apu-1-config --link-ld) -ljansson -lcrypto -lz -lm';
my $out = 'build/unit';
mkdir $_ for 'build', $out;

# Whether a file, or a project header that it includes, needs httpd or libpq.
sub needs_httpd {
    my ($file, $seen) = (@_, {});
    return 0 if $seen->{$file}++ || !open my $in, '<', $file;
    my @included = map { /^\s*#\s*include\s*[<"]([^>"]+)/ ? $1 : () } <$in>;
    return 1 if grep {/^(?:httpd|http_\w+|ap_\w+|util_\w+|mod_\w+|scoreboard|libpq-fe)\.h$|^curl/} @included;
    return grep { needs_httpd($_, $seen) } map { ("mod_learnhub/$_", "include/$_") } @included;
}

# Compiles the files that do not include httpd as a static library, once for each variant.
sub library {
    my ($variant, $options) = @_;
    mkdir "$out/$variant";
    my @objects = map { "$out/$variant/" . basename($_, '.c') . '.o' } @plain;
    for my $i (0 .. $#plain) {
        system("gcc $flags $options -c -o $objects[$i] $plain[$i]") == 0
            or return fail("$plain[$i] compiles ($variant)");
    }
    unlink "$out/$variant/plain.a";
    return ok(system("ar rcs $out/$variant/plain.a @objects") == 0, "the files without httpd compile ($variant)");
}

# Runs a program. The plan and the exit status are tests as well, so that a program that ends early fails.
sub run_program {
    my ($name, $variant, $command) = @_;
    my ($plan, $ran) = (undef, 0);
    open my $tap, '-|', "$command 2>&1" or return fail("$name runs ($variant)");
    while (my $line = <$tap>) {
        chomp $line;
        $plan = $1 if $line =~ /^1\.\.(\d+)/;
        if ($line =~ /^(not )?ok\b\s*\d*\s*(?:- )?(.*)/) {
            ok(!$1 && $line !~ /#\s*skip/i, $2);
            $ran++;
        }
        elsif ($line !~ /^1\.\./) {
            diag($line);
        }
    }
    close $tap;
    return ok($? == 0 && $ran && defined $plan && $plan == $ran, "$name ($variant) ran to its end")
        || diag('status ' . ($? >> 8) . ", $ran of " . ($plan // '?') . ' tests');
}

my %variants = (
    sanitizers => [
        '-O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -U_FORTIFY_SOURCE', ''],
    valgrind =>
        ['-O1', 'TAP_QUICK=1 valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite '],
);

ok(@programs > 0, 'there are unit programs');
$ENV{ASAN_OPTIONS} = 'detect_leaks=1:allocator_may_return_null=1';
for my $variant (sort keys %variants) {
    my ($options, $runner) = @{ $variants{$variant} };
    library($variant, $options) or next;
    for my $program (@programs) {
        my $name = basename($program, '.c');
        my $binary = "$out/$variant/$name";
        my $compile = "gcc $flags -Wno-missing-prototypes $options -It/unit -o $binary $program "
            . "$out/$variant/plain.a $link";
        subtest "$name ($variant)" => sub {
            ok(system($compile) == 0, "$program compiles") && run_program($name, $variant, "$runner$binary");
        };
    }
}
done_testing;
