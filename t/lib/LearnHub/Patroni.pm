# SPDX-License-Identifier: Apache-2.0
# Three database servers under Patroni with conf/cluster/patroni.yml, each with an etcd with conf/cluster/etcd.env, on
# machines of LearnHub::Network. The database has the roles and the schema of the module. After new(), sql() and
# signup() of LearnHub::Test use it.
package LearnHub::Patroni;

use strict;
use warnings;

use Carp qw(croak);
use File::Path qw(remove_tree);
use JSON::XS ();
use LWP::UserAgent ();

use LearnHub::Cluster;
use LearnHub::Network;
use LearnHub::Recipe;
use LearnHub::Test;

sub new {
    my ($class) = @_;
    remove_tree("$top/build/clusters");
    my $self = bless { agent => LWP::UserAgent->new(timeout => 1), log => "$top/build/clusters/setup.log" }, $class;
    $self->{members} = [map { LearnHub::Network->new("db$_", $_) } 1 .. 3];
    $self->configure($_) for @{ $self->{members} };
    $self->start_etcd($_) for @{ $self->{members} };
    my ($first, @others) = @{ $self->{members} };
    $self->start_patroni($first);
    eventually(sub { %{ $self->status($first, '/primary') } }, 90) or croak "no primary; see $first->{directory}";
    $self->create_database;
    $self->start_patroni($_) for @others;
    $self->wait_until_complete;
    return $self;
}

# Writes the recipes with the name, the addresses and the paths of a machine; the other addresses are those of the
# recipes. PostgreSQL without fsync needs less of a busy disk; no real machine fails in the tests.
sub configure {
    my ($self, $machine) = @_;
    my ($name, $directory, $address) = map { $machine->$_ } qw(name directory address);
    LearnHub::Recipe->write_recipe("$directory/etcd.env", 'etcd.env',
        [qr/(?<=NAME=)db1/ => $name], [qr{(?<=URLS=http://)10\.0\.1\.1\b} => $address],
        [qr{/var/lib/etcd/learnhub} => "$directory/etcd"]);
    my @changes = (
        [qr/^name: db1$/m => "name: $name"],
        [qr/(?<=(?:listen|ddress): )10\.0\.1\.1\b/ => $address],
        [qr{/var/lib/postgresql/15/learnhub} => "$directory/data"],
        [qr{/usr/lib/postgresql/15/bin} => $LearnHub::Cluster::bin],
        [qr{/var/lib/postgresql/patroni\.pgpass} => "$directory/pgpass"],
        [qr{/run/postgresql} => "'\@learnhub'"],
        [qr/wal_log_hints:/ => "fsync: 'off'\n        wal_log_hints:"],
    );
    return chmod 0600, LearnHub::Recipe->write_recipe("$directory/patroni.yml", 'patroni.yml', @changes);
}

sub start_etcd { my ($self, $machine) = @_; return $machine->run('sh', '-c', 'set -a; . ./etcd.env; exec etcd') }

sub start_patroni {
    my ($self, $machine) = @_;
    unlink "$machine->{directory}/data/postmaster.pid";
    return $machine->run('patroni', 'patroni.yml');
}

# ---- the state of the cluster ----

# Patroni's answer for a path on a machine; {} without one.
sub status {
    my ($self, $machine, $path) = @_;
    my $reply = $self->{agent}->get('http://' . $machine->address . ":8008$path");
    return $reply->code == 200 ? JSON::XS::decode_json($reply->content) : {};
}

# The machines by role, as a machine says: leader, sync_standby, replica.
sub roles {
    my ($self, $machine) = @_;
    my %machine = map { $_->name => $_ } @{ $self->{members} };
    return map { $_->{role} => $machine{ $_->{name} } } @{ $self->status($machine, '/cluster')->{members} // [] };
}

# Waits until all machines say that there is a synchronous standby, and the primary sends its WAL to both standbys.
sub wait_until_complete {
    my ($self) = @_;
    my $complete = sub {
        for my $machine (@{ $self->{members} }) {
            my %role = $self->roles($machine);
            return 0 if !$role{leader} || !$role{sync_standby};
            my $standbys = $self->status($role{leader}, '/patroni')->{replication} // [];
            return 0 if 2 != grep { $_->{application_name} =~ /^db/ && $_->{state} eq 'streaming' } @$standbys;
        }
        return 1;
    };
    return eventually($complete, 120) || croak 'the cluster is not complete; see build/clusters';
}

# A call of etcd on a machine.
sub etcd {
    my ($self, $machine, $method, %arguments) = @_;
    my $url = 'http://' . $machine->address . ":2379/v3/maintenance/$method";
    my $reply = $self->{agent}->post($url, Content => JSON::XS::encode_json(\%arguments));
    croak "$url: " . $reply->content if $reply->code != 200;
    return JSON::XS::decode_json($reply->content);
}

# The number of the etcd that leads, as the etcd of a machine says. Dies if none leads.
sub etcd_leader { my ($self, $machine) = @_; return $self->etcd($machine, 'status')->{leader} // croak 'no leader' }

# Makes the etcd of a machine the leader; returns its number.
sub lead_etcd {
    my ($self, $machine) = @_;
    my %machine = map { $self->etcd($_, 'status')->{header}{member_id} => $_ } @{ $self->{members} };
    my ($number) = grep { $machine{$_} == $machine } keys %machine;
    my $leader = $self->etcd_leader($machine);
    $self->etcd($machine{$leader}, 'transfer-leadership', targetID => $number) if $leader ne $number;
    return $number;
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

1;
