# SPDX-License-Identifier: Apache-2.0
# Databases at earlier versions of the schema, and nodes with modules of other versions.
package LearnHub::Upgrade;

use strict;
use warnings;

use Carp qw(croak);
use DBI ();
use Exporter qw(import);
use File::Path qw(make_path);
use JSON::XS ();
use LWP::UserAgent ();
use POSIX ();

use LearnHub::Cluster;
use LearnHub::Server;
use LearnHub::Test;

our @EXPORT = qw(conninfo_of database_handle create_database drop_databases learnhub_tree add_migrations write_migration
    migrate load_data schema_of build_module);

# ---- databases ----

my @created;

sub conninfo_of {
    my ($user, $database) = @_;
    return $ENV{LEARNHUB_OWNER} =~ s/user=\S+ dbname=\S+/user=$user dbname=$database/r;
}

sub connect_to {
    my ($user, $database) = @_;
    return DBI->connect('dbi:Pg:' . join(';', split ' ', conninfo_of($user, $database)), '', '',
        { RaiseError => 1, PrintError => 0, AutoInactiveDestroy => 1 });
}

sub database_handle { my ($name) = @_; return connect_to('learnhub_owner', $name) }

# Creates a database, empty or as a copy of another one.
sub create_database {
    my ($name, $template) = @_;
    my $admin = connect_to('postgres', 'postgres');
    $admin->do('SET client_min_messages = warning');
    $admin->do("DROP DATABASE IF EXISTS $name WITH (FORCE)");
    $admin->do("CREATE DATABASE $name OWNER learnhub_owner" . ($template ? " TEMPLATE $template" : ''));
    $admin->do("ALTER DATABASE $name SET search_path = learnhub, public");
    push @created, $name;
    return $admin->disconnect;
}

sub drop_databases {
    my $admin = connect_to('postgres', 'postgres');
    $admin->do("DROP DATABASE $_ WITH (FORCE)") for @created;
    return $admin->disconnect;
}

# Loads the section of t/upgrade/data.sql for a version, if there is one.
sub load_data {
    my ($name, $version) = @_;
    open my $in, '<:encoding(UTF-8)', "$top/t/upgrade/data.sql" or croak "data.sql: $!";
    my %section = do { local $/; <$in> =~ /^-- ---- 0*(\d+)\n(.*?)(?=^-- ---- |\z)/msg };
    my $database = database_handle($name);
    $database->do($section{$version}) if $section{$version};
    return $database->disconnect;
}

# Without the random bytes and the time of installation, which differ between databases.
sub schema_of {
    my ($name) = @_;
    my $conninfo = conninfo_of('learnhub_owner', $name);
    my $dump = `$LearnHub::Cluster::bin/pg_dump -s -n learnhub -n learnhub_meta '$conninfo'`;
    $? == 0 or croak 'pg_dump failed';
    $dump =~ s/^\\(?:un)?restrict .*$//mg;
    return $dump =~ s/'\\\\x[0-9a-f]{10}'|'\d{4}-[\d-]+ [\d:.]+\+00'/''/gr;
}

# ---- other versions of the project ----

# A folder with learnhub-ctl and these migrations.
sub learnhub_tree {
    my ($folder, @migrations) = @_;
    make_path("$folder/conf/schema");
    system('cp', '-r', (map {"$top/conf/$_"} qw(quickstart learnhub-ctl LearnHubCtl)), "$folder/conf/") == 0
        or croak "cannot copy to $folder";
    add_migrations($folder, @migrations) if @migrations;
    return $folder;
}

sub add_migrations {
    my ($folder, @migrations) = @_;
    return system('cp', @migrations, "$folder/conf/schema/") == 0 || croak "cannot copy to $folder";
}

sub write_migration {
    my ($folder, $version, $text) = @_;
    my $file = sprintf '%s/conf/schema/%04d_test.sql', $folder, $version;
    open my $out, '>', $file or croak "$file: $!";
    print $out "$text\n";
    return close $out;
}

# Upgrades a database to the schema of a folder; returns what was printed.
sub migrate {
    my ($folder, $name) = @_;
    local @ENV{qw(DATABASE GRANT_TO)} = (conninfo_of('learnhub_owner', $name), 'learnhub');
    my $printed = `'$folder/conf/quickstart/migrate' 2>&1`;
    $? == 0 or croak "migrate failed: $printed";
    return $printed;
}

# Builds the module for another version of the schema: compiles the files that depend on it, and links the others.
sub build_module {
    my ($folder, $version) = @_;
    make_path("$folder/include/db");
    open my $in, '<', "$top/mod_learnhub/db/session.h" or croak "session.h: $!";
    open my $out, '>', "$folder/include/db/session.h" or croak "session.h: $!";
    print {$out} map {s/(?<=^#define LH_SESSION_SCHEMA )\d+/$version/r} <$in>;
    close $out;
    my $make = "make --no-print-directory -s -C '$top' -f Makefile.apxs SAN='$ENV{LEARNHUB_SAN}'";
    chomp(my ($flags, $libraries) = map { scalar `$make $_` } qw(flags libraries));
    my @changed = map {m{mod_learnhub/(\w+/\w+)\.c$}} `grep -l LH_SESSION_SCHEMA '$top'/mod_learnhub/*/*.c`;
    @changed >= 2 or croak 'no file depends on the version';
    my $changed = join '|', @changed;
    my @sources = grep { !m{/(?:$changed)\.c$} } glob "$top/mod_learnhub/{*.c,*/*.c}";
    my @objects = map {s{^\Q$top/\E(.*)\.c$}{$top/build/obj/$1.o}r} @sources;

    for my $file (@changed) {
        my $object = "$folder/" . $file =~ s{/}{-}r . '.o';
        system("cd '$top' && gcc -I'$folder/include' $flags -c -o '$object' mod_learnhub/$file.c") == 0
            or croak "cannot compile $file.c";
    }
    system("gcc -shared $flags -o '$folder/mod_learnhub.so' @objects $folder/*.o $libraries") == 0
        or croak 'cannot link';
    return "$folder/mod_learnhub.so";
}

# ---- nodes ----

# Starts a httpd with a module and a database; its module can be replaced.
sub node {
    my ($folder, $module, $database) = @_;
    make_path($folder);
    use_module($folder, $module);
    my $conf = join '', map { slurp("$top/t/conf/$_.conf") } qw(base extra);
    $conf =~ s{^(LoadModule learnhub_module ).*}{$1"$folder/mod_learnhub.so"}m or croak 'no LoadModule';
    $conf =~ s{^DBDParams .*}{DBDParams "@{[conninfo_of('learnhub', $database)]} application_name=mod_learnhub"}m
        or croak 'no DBDParams';
    return LearnHub::Server->start($conf, alone => 1);
}

sub slurp { my ($file) = @_; open my $in, '<', $file or croak "$file: $!"; local $/; return scalar <$in> }

# The next restart of the node loads this module.
sub use_module {
    my ($folder, $module) = @_;
    symlink $module, "$folder/next" or croak "symlink: $!";
    return rename "$folder/next", "$folder/mod_learnhub.so";
}

# Whether all processes of a node have loaded this module.
sub uses_only {
    my ($node, $module) = @_;
    my $parent = $node->pid;
    my @processes = ($parent, split ' ', `pgrep -P $parent`);
    return @processes > 2 && !grep { slurp("/proc/$_/maps") !~ /\Q$module\E$/m } @processes;
}

# ---- load ----

# Starts a process that sends requests to a node until it gets a signal or this process ends, each on a connection of
# its own: reads, log-ins and changes.
sub load {
    my ($port) = @_;
    pipe my $from, my $to or croak "pipe: $!";
    my $parent = $$;
    my $pid = fork // croak "fork: $!";
    if (!$pid) {
        my $ended = 0;
        local $SIG{TERM} = sub { $ended = 1 };
        my $result = eval { send_requests($port, sub { $ended || getppid != $parent }) } // { failed => ["$@"] };
        print {$to} JSON::XS->new->encode($result);
        close $to;
        POSIX::_exit(0);
    }
    close $to;
    return { pid => $pid, from => $from };
}

sub send_requests {
    my ($port, $has_ended) = @_;
    my $agent = LWP::UserAgent->new(timeout => 60);
    my ($done, @failed) = (0);
    my %user = (first_name => 'A', last_name => 'B', email => unique("load$port") . '@example.com',
        password => 'a good password');
    my $send = sub {
        my ($method, $path, %with) = @_;
        my $reply = $agent->request(LearnHub::Test::request($method, $path, port => $port, %with));
        $done++;
        push @failed, "$method $path: " . $reply->code if !$reply->is_success;
        return $reply->is_success ? JSON::XS->new->utf8->decode($reply->content) : {};
    };
    $send->(POST => '/users/signup', json => \%user);
    while (@failed < 10 && !$has_ended->()) {
        my $login = $send->(POST => '/users/login', form => { username => $user{email}, password => $user{password} });
        my %as = (token => $login->{access_token} // '');
        $send->(GET => '/users/me', %as);
        my %problem = (title => 'T', description => 'D', difficulty => 'easy');
        $send->(POST => '/problems/', %as, json => \%problem);
        $send->(GET => '/problems/?limit=5');
    }
    return { done => $done, failed => \@failed };
}

# Ends a load; returns {done, failed => [...]}.
sub end_load {
    my ($load) = @_;
    kill TERM => $load->{pid};
    my $from = $load->{from};
    my $result = do { local $/; <$from> };
    waitpid $load->{pid}, 0;
    return JSON::XS->new->decode($result);
}

1;
