# SPDX-License-Identifier: Apache-2.0
# The compiled route table, for t/35-routes.t, t/37-authorisation.t and the benchmark.
package LearnHub::Routes;

use strict;
use warnings;

use JSON::XS ();

# Compiles t/lib/routes.c, which prints the route table as JSON, and returns the decoded output. The program is linked
# with the route files and stubs for the functions that only steps call, because it runs no step. It is compiled only if
# a source file is newer.
sub run { my ($command) = @_; system($command) == 0 or die "failed: $command"; return }

sub table {
    my $program = 'build/routes/routes';
    my @sources = glob 't/lib/routes.c include/*.h mod_learnhub/*/*.[ch]';
    compile($program) if !-x $program || grep { -M $_ < -M $program } @sources;
    return JSON::XS->new->utf8->decode(scalar `$program`);
}

sub compile {
    my ($program) = @_;
    mkdir 'build/routes';
    chomp(my $flags = `make -s -f Makefile.apxs flags`);
    my @compiling = qw(auth/account_checks auth/account_steps auth/last_use auth/link_steps auth/revocation auth/token
        auth/token_steps jobs/jobs jobs/outbox
        model/answer model/rates model/review pages/docs pages/start
        http/claim http/idempotency http/route http/route_check http/path
        db/statement util/text util/json util/buffer);
    my @sources = ('t/lib/routes.c', glob('mod_learnhub/api/*.c'), map {"mod_learnhub/$_.c"} @compiling);
    run("cd build/routes && gcc $flags -I../../include -I../../mod_learnhub -c " . join ' ', map {"../../$_"} @sources);
    my %defined = map { $_ => 1 } split ' ', `nm -j --defined-only build/routes/*.o`;
    my @undefined = split ' ', `nm -j --undefined-only build/routes/*.o`;
    my @missing = grep { /^(?:lh_|ap_|learnhub_module$)/ && !$defined{$_} } @undefined;
    open my $stubs, '>', 'build/routes/stubs.c' or die $!;
    print $stubs map {"void $_(void);\nvoid $_(void)\n{\n}\n"} keys %{ { map { $_ => 1 } @missing } };
    close $stubs or die $!;
    run("gcc -o $program build/routes/*.o build/routes/stubs.c -laprutil-1 -lapr-1 -lcurl -lcrypto -lm");
    return;
}

1;
