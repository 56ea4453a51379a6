# SPDX-License-Identifier: Apache-2.0
# What mutants run on: the objects of the module, PostgreSQL, httpd, unit programs and test files. The current directory
# is the copy of the tree that conf/quickstart/test made. Every mutant gets a new copy of the database.
package Mutation::Site;

use strict;
use warnings;

use DBI ();
use Digest::SHA qw(sha256_hex);
use File::Basename qw(basename dirname);
use File::Path qw(make_path);
use POSIX ();
use Time::HiRes ();

use LearnHub::Server ();
use Mutation::Source ();

my $out = 'build/mutant';
my $sanitizers = '-O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -U_FORTIFY_SOURCE';
my $link_unit = '$(apr-1-config --link-ld) $(apu-1-config --link-ld) -ljansson -lcrypto -lz -lm';
my $link_module = '-Wl,-z,relro,-z,now -Wl,--as-needed -ljansson -lpq -lcrypto -lcurl -lz';

sub command {
    my ($command) = @_;
    system($command) == 0 or die "mutation: failed: $command\n";
    return;
}

sub quiet { my ($command) = @_; return system("$command >$out/output 2>&1") == 0 }

sub conninfo {
    my ($self, $role, $database) = @_;
    my $socket = '@learnhub-' . substr sha256_hex($self->{top}), 0, 16;
    return "host=$socket port=5432 user=$role dbname=$database sslmode=disable gssencmode=disable";
}

# Builds the module and starts PostgreSQL.
sub new {
    my ($class, $top) = @_;
    my $self = bless { top => $top, port => LearnHub::Server->free_port, units => {} }, $class;
    make_path($out);
    chomp(my $flags = `make -s -f Makefile.apxs flags`);

    # A mutant of && or || need not have the brackets that gcc recommends. Without debug info, equal code is equal.
    $self->{flags} = "-I$out/mod_learnhub $flags -g0 -Wno-parentheses";
    command("make -s -f Makefile.apxs build CFLAGS='-g0 -Wno-parentheses'");
    command("$_ >/dev/null") for 'conf/quickstart/database start', 'conf/quickstart/migrate';
    $self->admin('ALTER SYSTEM SET fsync = off', 'SELECT pg_reload_conf()');
    $self->admin('CREATE DATABASE pristine TEMPLATE learnhub') if !-e "$out/pristine";
    write_file("$out/pristine", '');
    @ENV{qw(LEARNHUB_PORT LEARNHUB_OWNER)} = ($self->{port}, $self->conninfo('learnhub_owner', 'learnhub'));
    $self->configure;
    return $self;
}

sub admin {
    my ($self, @statements) = @_;
    my $db = DBI->connect('dbi:Pg:' . join(';', split ' ', $self->conninfo('postgres', 'postgres')), '', '',
        { RaiseError => 1, PrintError => 0, PrintWarn => 0 });
    $db->do($_) for @statements;
    $db->disconnect;
    return;
}

# Writes the files of t/conf for httpd, as Apache::Test does.
sub configure {
    my ($self) = @_;
    my $t = "$self->{top}/t";
    chomp(my $modules = `apxs -q libexecdir`);
    my %value = (modules => $modules, conninfo => $self->conninfo('learnhub', 'learnhub'), cache => 8388608,
        top_dir => $self->{top}, t_logs => "$t/logs", ServerRoot => $t, DocumentRoot => "$t/htdocs",
        Port => $self->{port}, t_pid_file => "$t/logs/httpd.pid");
    make_path("$t/logs", "$t/htdocs");
    for my $name (qw(base extra httpd)) {
        my $text = Mutation::Source::slurp("t/conf/$name.conf.in") =~ s/\@(\w+)\@/$value{$1}/gr;
        $text .= "ServerName localhost\n" . join '', map {qq(Include "$t/conf/$_.conf"\n)} qw(base extra)
            if $name eq 'httpd';
        write_file("t/conf/$name.conf", $text);
    }
    return;
}

sub write_file {
    my ($file, $text) = @_;
    make_path(dirname($file));
    open my $to, '>:raw', $file or die "mutation: $file: $!\n";
    print $to $text;
    return close $to || die "mutation: $file: $!\n";
}

# ---- compiling ----

sub object { my ($file) = @_; return "build/obj/$file" =~ s/\.c$/.o/r }

# Compiles the mutated file. Returns 'ok', 'rejected' by the compiler, or 'equal' to the object of the original file.
sub compile {
    my ($self, $mutant) = @_;
    my $file = $mutant->{file};
    write_file("$out/$file", $mutant->{text});
    my $map = "-fmacro-prefix-map=$out/= -fdebug-prefix-map=$out/=";
    $self->{object} = "$out/object.o";
    return 'rejected' if !quiet("gcc $self->{flags} $map -c -o $self->{object} $out/$file");
    return quiet("cmp $self->{object} " . object($file)) ? 'equal' : 'ok';
}

# Links the module, with the compiled mutant of a file.
sub link_module {
    my ($self, $file) = @_;
    my $original = $file ? object($file) : '';
    my @objects = glob 'build/obj/mod_learnhub/*.o build/obj/mod_learnhub/*/*.o';
    @objects = map { $_ eq $original ? $self->{object} : $_ } @objects;
    command("gcc -shared $self->{flags} -o build/mod_learnhub.new @objects $link_module");
    return rename 'build/mod_learnhub.new', 'build/mod_learnhub.so';
}

sub end_mutant { my ($self, $file) = @_; return unlink "$out/$file" }

# ---- unit programs ----

# Whether a file, or a project header that it includes, needs httpd or libpq, as in t/10-unit.t.
sub needs_httpd {
    my ($file, $seen) = (@_, {});
    return 0 if $seen->{$file}++ || !-e $file;
    my @included = Mutation::Source::slurp($file) =~ /^\s*#\s*include\s*[<"]([^>"]+)/mg;
    return 1 if grep {/^(?:httpd|http_\w+|ap_\w+|util_\w+|mod_\w+|scoreboard|libpq-fe)\.h$|^curl/} @included;
    return grep { needs_httpd($_, $seen) } map { ("mod_learnhub/$_", "include/$_") } @included;
}

# Compiles the files without httpd and the unit programs with sanitizers, and finds the files that each program links.
sub prepare_units {
    my ($self) = @_;
    make_path("$out/unit");
    my %file_of = map { basename($_, '.c') => $_ } grep { !m{/api/} && !needs_httpd($_) } glob 'mod_learnhub/*/*.c';
    my @headers = glob 'include/*.h mod_learnhub/*/*.h t/unit/*.h';
    for my $name (grep { is_older("$out/unit/$_.o", $file_of{$_}, @headers) } sort keys %file_of) {
        command("gcc $self->{flags} $sanitizers -c -o $out/unit/$name.o $file_of{$name}");
    }
    command("ar rcs $out/unit/plain.a " . join ' ', map {"$out/unit/$_.o"} sort keys %file_of);
    for my $program (glob 't/unit/*.c') {
        my $name = basename($program, '.c');
        $self->compile_unit($name) if is_older("$out/unit/$name.main", $program, @headers, glob 'mod_learnhub/db/*.c');
        my $trace = `gcc $sanitizers -o $out/unit/$name $out/unit/$name.main $out/unit/plain.a -Wl,-t,-t $link_unit`;
        my @linked = map { $file_of{$_} // () } $trace =~ /plain\.a\)?\(?(\w+)\.o/g;
        my @included = Mutation::Source::slurp($program) =~ m{^#include "(\w+/\w+\.c)"}mg;
        push @{ $self->{units}{$_} }, $name for @linked, map {"mod_learnhub/$_"} @included;
    }
    return;
}

sub is_older {
    my ($file, @sources) = @_;
    return !-e $file || grep { -M $_ < -M $file } @sources;
}

sub compile_unit {
    my ($self, $name) = @_;
    return quiet("gcc $self->{flags} -Wno-missing-prototypes $sanitizers -It/unit -x c -c -o $out/unit/$name.main "
            . "t/unit/$name.c");
}

# Runs the unit programs that contain the mutated file; returns the name of the one that fails.
sub failing_unit {
    my ($self, $file) = @_;
    my @names = @{ $self->{units}{$file} || [] } or return undef;
    @names = sort { ($self->{unit_kills}{$b} || 0) <=> ($self->{unit_kills}{$a} || 0)
            || (basename($file, '.c') eq $b) <=> (basename($file, '.c') eq $a) } @names;
    my $mutated = "$out/mutated.o";
    my $in_archive = -e "$out/unit/" . basename($file, '.c') . '.o';
    command("gcc $self->{flags} $sanitizers -c -o $mutated $out/$file") if $in_archive;
    for my $name (@names) {
        if (!$in_archive) {
            $self->compile_unit($name) or die "mutation: t/unit/$name.c does not compile\n";
        }
        my $objects = $in_archive ? $mutated : '';
        quiet("gcc $sanitizers -o $out/program $out/unit/$name.main $objects $out/unit/plain.a $link_unit")
            or die "mutation: t/unit/$name.c cannot be linked\n";
        next if unit_passes("$out/program");
        $self->{unit_kills}{$name}++;
        return "t/unit/$name.c";
    }
    return undef;
}

sub unit_passes {
    my ($program) = @_;
    my $status = run_limited(30, "$out/output", $program);
    my $text = Mutation::Source::slurp("$out/output");
    my $ran = () = $text =~ /^(?:not )?ok\b/mg;
    return defined $status && $status == 0 && $text !~ /^not ok/m && $text =~ /^1\.\.$ran$/m;
}

# Runs a command in a process group of its own. Returns its status, or undef after $seconds. A failed TAP line ends it.
sub run_limited {
    my ($seconds, $output, @command) = @_;
    my $pid = fork // die "mutation: fork: $!\n";
    if (!$pid) {
        setpgrp;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $output or POSIX::_exit(1);
        open STDERR, '>&', \*STDOUT;
        exec(@command) or POSIX::_exit(127);
    }
    my $until = Time::HiRes::time() + $seconds;
    while (Time::HiRes::time() < $until) {
        return $? if waitpid($pid, POSIX::WNOHANG()) == $pid;
        Time::HiRes::sleep(0.03);
        last if -s $output && -M _ && Mutation::Source::slurp($output) =~ /^\s*not ok/m;
    }
    kill TERM => -$pid;
    Time::HiRes::sleep(0.5);
    kill KILL => -$pid;
    waitpid $pid, 0;
    return undef;
}

# ---- servers ----

sub main_server { return LearnHub::Server->main }

# Whether a process was started from this tree: a file may contain the number of one that has ended.
sub is_ours {
    my ($self, $pid) = @_;
    return $pid && -e "/proc/$pid/cmdline" && Mutation::Source::slurp("/proc/$pid/cmdline") =~ /\Q$self->{top}\E\//;
}

# Ends the clusters of LearnHub::Cluster: the next test with clusters uses their ports.
sub stop_clusters {
    my ($self) = @_;
    my @numbers = map { Mutation::Source::slurp($_) =~ /\A(\d+)/ } glob 'build/clusters/*/postmaster.pid';
    my @postmasters = grep { $self->is_ours($_) } @numbers;
    kill $_ => @postmasters for qw(CONT QUIT);
    my $until = Time::HiRes::time() + 10;
    Time::HiRes::sleep(0.03) while Time::HiRes::time() < $until && grep { $self->is_ours($_) } @postmasters;
    return;
}

# A test that was ended may leave servers behind, and a stopped PostgreSQL.
sub stop_servers {
    my ($self) = @_;
    my @numbers = map {m{(second-.*)\.pid$}} glob 't/logs/second-*.pid';
    my @servers = (main_server(), map { bless { files => "$self->{top}/t/logs/$_" }, 'LearnHub::Server' } @numbers);
    $_->stop for grep { $self->is_ours($_->pid) } @servers;
    my $pid_file = 'build/run/pg/postmaster.pid';
    my ($postmaster) = -e $pid_file ? Mutation::Source::slurp($pid_file) =~ /(\d+)/ : ();
    if ($self->is_ours($postmaster)) {
        kill CONT => $postmaster, Mutation::Source::slurp("/proc/$postmaster/task/$postmaster/children") =~ /\d+/g;
    }
    $self->stop_clusters;
    unlink glob 't/logs/*';
    return;
}

# Starts httpd with a new copy of the database. Returns 0 if it does not start or does not answer.
sub start_servers {
    my ($self) = @_;
    command('conf/quickstart/database start >/dev/null');
    $self->admin('DROP DATABASE IF EXISTS learnhub WITH (FORCE)',
        'CREATE DATABASE learnhub OWNER learnhub_owner TEMPLATE pristine',
        'ALTER DATABASE learnhub SET search_path = learnhub, public');
    my ($httpd) = grep {-x} '/usr/sbin/apache2', '/usr/sbin/httpd';
    my $status = run_limited(20, "$out/output", $httpd, '-f', "$self->{top}/t/conf/httpd.conf", '-k', 'start');
    return defined $status && $status == 0 && main_server()->accepts_connections;
}

sub run_test {
    my ($self, $file, $seconds) = @_;
    my $began = Time::HiRes::time();
    my $status = run_limited($seconds, "$out/output", $^X, "-I$self->{top}/t/lib", $file);
    my $text = Mutation::Source::slurp("$out/output");
    my ($failure) = $text =~ /^\s*(not ok.*)/m;
    $failure //= defined $status ? 'exit status ' . ($status >> 8) : 'time limit';
    my $passed = defined $status && $status == 0 && $text !~ /^not ok/m && $text =~ /^1\.\.\d+/m;
    return { passed => $passed, seconds => Time::HiRes::time() - $began, failure => $failure, text => $text };
}

sub stop {
    my ($self) = @_;
    $self->stop_servers;
    command('conf/quickstart/database stop immediate >/dev/null');
    return;
}

1;
