# SPDX-License-Identifier: Apache-2.0
# Two database servers under Patroni with conf/cluster/patroni.yml, each on a machine of LearnHub::Network, and one
# etcd. The database has the roles and the schema of the module. After new(), sql() and signup() of LearnHub::Test use
# it.
package LearnHub::Patroni;

use strict;
use warnings;

use Carp qw(croak);
use File::Path qw(make_path remove_tree);
use JSON::XS ();
use LWP::UserAgent ();
use POSIX ();

use LearnHub::Cluster;
use LearnHub::Network;
use LearnHub::Recipe;
use LearnHub::Test;

my ($etcd, $owner) = (0, $$);

sub new {
    my ($class) = @_;
    remove_tree("$top/build/clusters");
    my $self = bless { agent => LWP::UserAgent->new(timeout => 1), log => "$top/build/clusters/setup.log" }, $class;
    $self->{members} = [map { LearnHub::Network->new("db$_", 10 + $_) } 1, 2];
    start_etcd();
    $self->configure($_) for @{ $self->{members} };
    my ($first, $second) = @{ $self->{members} };
    $self->start($first);
    eventually(sub { $self->is_primary($first) }, 90) or croak "no primary; see $first->{directory}";
    $self->create_database;
    $self->start($second);
    $self->wait_until_complete;
    return $self;
}

sub start_etcd {
    my $directory = "$top/build/clusters/etcd";
    my $address = LearnHub::Network->gateway;
    make_path($directory);
    $etcd = fork // croak "fork: $!";
    return if $etcd;
    chdir $directory or POSIX::_exit(126);
    open STDOUT, '>', 'log' and open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
    my $url = "http://$address:2379";
    my @options = ('--data-dir', 'data', '--listen-client-urls', $url, '--advertise-client-urls', $url,
        '--listen-peer-urls', 'http://127.0.0.1:2380', '--log-level', 'warn');
    exec '/usr/bin/etcd', @options or POSIX::_exit(127);
}

# Writes the recipe with the addresses and paths of a machine. Without fsync the tests need less of a busy disk; no real
# machine fails in them.
sub configure {
    my ($self, $machine) = @_;
    my ($bin, $directory, $address) = ($LearnHub::Cluster::bin, $machine->directory, $machine->address);
    my @changes = (
        [qr/^name: db1$/m => "name: $machine->{name}"],
        [qr/hosts: 10\S+/ => 'hosts: ' . LearnHub::Network->gateway . ':2379'],
        [qr/10\.0\.1\.1/ => $address],
        [qr{10\.0\.(?:1\.0/24|0\.0/16)} => '10.77.0.0/24'],
        [qr{/var/lib/postgresql/15/learnhub} => "$directory/data"],
        [qr{/usr/lib/postgresql/15/bin} => $bin],
        [qr{/var/lib/postgresql/patroni\.pgpass} => "$directory/pgpass"],
        [qr{/run/postgresql} => "'\@learnhub'"],
        [qr/wal_log_hints:/ => "fsync: 'off'\n        wal_log_hints:"],
    );
    return chmod 0600, LearnHub::Recipe->write_recipe("$directory/patroni.yml", 'patroni.yml', @changes);
}

sub start {
    my ($self, $machine) = @_;
    unlink "$machine->{directory}/data/postmaster.pid" if !$machine->processes;
    return $machine->run('patroni', 'patroni.yml');
}

# ---- the state of the cluster ----

sub get { my ($self, $machine, $path) = @_; return $self->{agent}->get('http://' . $machine->address . ":8008$path") }
sub is_primary { my ($self, $machine) = @_; return $self->get($machine, '/primary')->code == 200 }

# The machine of the primary, and the other one.
sub pair {
    my ($self) = @_;
    my @members = sort { $self->is_primary($b) <=> $self->is_primary($a) } @{ $self->{members} };
    return @members;
}

# Waits until there are a primary and a synchronous standby.
sub wait_until_complete {
    my ($self) = @_;
    my $complete = sub {
        for my $machine (@{ $self->{members} }) {
            my $reply = $self->get($machine, '/cluster');
            my $members = $reply->code == 200 ? JSON::XS::decode_json($reply->content)->{members} : [];
            my %count;
            $count{ $_->{role} }++ for grep { ($_->{state} // '') =~ /^(?:running|streaming)$/ } @$members;
            return 0 if !$count{leader} || !$count{sync_standby};
        }
        return 1;
    };
    return eventually($complete, 120) || croak 'no synchronous standby; see build/clusters';
}

# Whether the server of a machine accepts writes, as it says itself.
sub accepts_writes {
    my ($self, $machine) = @_;
    my $handle = $self->handle('host=' . $machine->address);
    my ($standby) = $handle->selectrow_array('SELECT pg_is_in_recovery()');
    return !$standby;
}

sub patronictl {
    my ($self, @arguments) = @_;
    my $directory = $self->{members}[0]{directory};
    return system("patronictl -c '$directory/patroni.yml' @arguments >>'$self->{log}' 2>&1") == 0;
}

# ---- the database ----

sub hosts { my ($self) = @_; return join ',', map { $_->address } @{ $self->{members} } }

# A connection of the superuser.
sub handle {
    my ($self, $where) = @_;
    my $as = 'port=5432 user=postgres password=PASSWORD-1 dbname=postgres connect_timeout=2';
    return LearnHub::Cluster->handle_of("$where $as");
}

sub create_database {
    my ($self) = @_;
    my ($first) = @{ $self->{members} };
    my $superuser = $self->handle('host=' . $first->address);
    $superuser->do("CREATE ROLE $_ LOGIN PASSWORD 'secret'") for qw(learnhub_owner learnhub);
    $superuser->do('CREATE DATABASE learnhub OWNER learnhub_owner');
    $superuser->do('ALTER DATABASE learnhub SET search_path = learnhub, public');
    my $conninfo = 'host=' . $self->hosts . ' port=5432 user=learnhub_owner password=secret dbname=learnhub '
        . 'target_session_attrs=read-write connect_timeout=2';
    database()->disconnect;
    $ENV{LEARNHUB_OWNER} = $conninfo;
    local @ENV{qw(DATABASE GRANT_TO)} = ($conninfo =~ s/host=\S+/'host=' . $first->address/er, 'learnhub');
    return 1 if system("'$top/conf/quickstart/migrate' >>'$self->{log}' 2>&1") == 0;
    croak "migrate fails; see $self->{log}";
}

# The directive of a node, as in conf/OPERATING.md.
sub directives {
    my ($self) = @_;
    my $passfile = "$top/build/clusters/passfile";
    open my $out, '>', $passfile or croak "$passfile: $!";
    print $out map {"$_:5432:learnhub:learnhub:secret\n"} split /,/, $self->hosts;
    close $out && chmod 0600, $passfile or croak "$passfile: $!";
    return 'DBDParams "host=' . $self->hosts . " target_session_attrs=read-write dbname=learnhub user=learnhub \\\n"
        . "    passfile=$passfile sslcert=/nonexistent connect_timeout=2 keepalives_idle=1 keepalives_interval=1 \\\n"
        . "    keepalives_count=2 tcp_user_timeout=2000 gssencmode=disable application_name=mod_learnhub\"\n";
}

END {
    if ($$ == $owner && $etcd) {
        local $?;
        kill KILL => $etcd;
        waitpid $etcd, 0;
    }
}

1;
