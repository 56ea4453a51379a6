# SPDX-License-Identifier: Apache-2.0
# The processes of the tests' PostgreSQL, and further clusters below build/clusters that are copies of it: primaries and
# standbys of scenarios that would destroy the tests' own. A test's end stops them; conf/quickstart/test stops those of
# a killed run.
package LearnHub::Cluster;

use strict;
use warnings;

use Carp qw(croak);
use DBI ();
use Time::HiRes qw(sleep);

use LearnHub::Server;
use LearnHub::Test;

our ($bin) = sort { length $b <=> length $a || $b cmp $a } glob '/usr/lib/postgresql/*/bin'; # of the newest version
my $next_port = 5433;
my $owner = $$;
my @all;

# The tests' own cluster: only processes(), backends(), freeze(), thaw() and without_fsync().
sub main { my ($class) = @_; return bless { data => "$top/build/run/pg" }, $class }

# PostgreSQL recovers faster without fsync, also on a busy disk; the machine itself does not fail in a test.
sub without_fsync {
    my ($self) = @_;
    superuser()->do('ALTER SYSTEM SET fsync = off');
    return superuser()->do('SELECT pg_reload_conf()');
}

# copies(name => {setting => value}, ...): stops the tests' cluster, copies it once for each name, and starts it again.
# Returns the copies, which are not started. The setting `standby_of` is another copy's name.
sub copies {
    my ($class, @wanted) = @_;
    pg('stop', '-m', 'fast');
    my %copy;
    while (my ($name, $settings) = splice @wanted, 0, 2) {
        my $data = "$top/build/clusters/$name";
        system("mkdir -p '$top/build/clusters' && rm -rf '$data' && cp -a '$top/build/run/pg' '$data'") == 0
            or croak "cannot copy the cluster to $data";
        my $self = bless { data => $data, port => $next_port++, log => "$data.log" }, $class;
        $copy{$name} = $self;
        push @all, $self;
        $self->configure(%$settings, $settings->{standby_of} ? (standby_of => $copy{ $settings->{standby_of} }) : ());
    }
    pg('start');
    return map { $copy{$_} } sort { $copy{$a}{port} <=> $copy{$b}{port} } keys %copy;
}

# The directory of the abstract sockets of this tree's clusters.
sub socket_directory { my ($host) = $ENV{LEARNHUB_OWNER} =~ /host=(\S+)/; return $host }

sub configure {
    my ($self, %settings) = @_;
    my $primary = delete $settings{standby_of};
    my %all = (port => $self->{port}, fsync => 'off', hot_standby_feedback => 'on', %settings);
    if ($primary) {
        my $name = $self->{data} =~ s{.*/}{}r;
        $all{primary_conninfo} = $primary->conninfo('postgres') . " application_name=$name";
        open my $signal, '>', "$self->{data}/standby.signal" or croak "standby.signal: $!";
        close $signal or croak "standby.signal: $!";
    }
    append("$self->{data}/postgresql.conf", map {"$_ = '$all{$_}'\n"} sort keys %all);
    return append("$self->{data}/pg_hba.conf", "local replication all peer map=learnhub\n");
}

sub append {
    my ($file, @lines) = @_;
    open my $out, '>>', $file or croak "$file: $!";
    print $out @lines;
    return close $out || croak "$file: $!";
}

# The connection string of a role; of httpd's role with the settings of t/conf/base.conf.
sub conninfo {
    my ($self, $role) = @_;
    my $database = $role eq 'postgres' ? 'postgres' : 'learnhub';
    return join ' ', 'host=' . socket_directory(), "port=$self->{port} user=$role dbname=$database sslmode=disable",
        'gssencmode=disable';
}

# directives(@clusters): the directive of a second_httpd() that connects to the first of these clusters that
# accepts writes.
sub directives {
    my ($class, @clusters) = @_;
    my $hosts = join ',', map { socket_directory() } @clusters;
    my $ports = join ',', map { $_->{port} } @clusters;
    return qq(DBDParams "host=$hosts port=$ports target_session_attrs=read-write user=learnhub dbname=learnhub )
        . q(sslmode=disable gssencmode=disable connect_timeout=2 application_name=mod_learnhub )
        . qq(options='-c client_connection_check_interval=500'"\n);
}

sub control {
    my ($self, @arguments) = @_;
    return system("'$bin/pg_ctl' -D '$self->{data}' @arguments >>'$self->{log}.out' 2>&1") == 0;
}

# Starts the cluster; for ulimit => 'f 1000' with this limit.
sub start {
    my ($self, %with) = @_;
    my $limit = $with{ulimit} ? "ulimit -$with{ulimit}; exec " : '';
    my $command = "$limit'$bin/pg_ctl' -D '$self->{data}' -s -w -t 60 -l '$self->{log}' start";
    return $self if system('bash', '-c', "$command >>'$self->{log}.out' 2>&1") == 0;
    croak "the cluster in $self->{data} does not start";
}

sub stop { my ($self, $mode) = @_; return $self->control('-s', '-w', '-t', 60, '-m', $mode // 'fast', 'stop') }

sub promote { my ($self) = @_; return $self->control('-s', '-w', '-t', 60, 'promote') || croak 'not promoted' }

# The processes of the cluster.
sub processes {
    my ($self) = @_;
    my @links = grep { (readlink($_) // '') eq $self->{data} } glob '/proc/[0-9]*/cwd';
    return map {m{(\d+)}} @links;
}

# The processes that serve httpd, and the one that receives the WAL of a primary.
sub backends { my ($self) = @_; return grep { command_of($_) =~ /^postgres: learnhub learnhub / } $self->processes }
sub receiver { my ($self) = @_; return grep { command_of($_) =~ /^postgres: walreceiver/ } $self->processes }

sub command_of {
    my ($pid) = @_;
    open my $line, '<', "/proc/$pid/cmdline" or return '';
    return join '', <$line>;
}

# Stops all processes, the first one first, so that it starts no others; and continues them.
sub freeze {
    my ($self) = @_;
    kill STOP => $self->postmaster;
    return kill STOP => $self->processes;
}

sub thaw { my ($self) = @_; return kill CONT => $self->processes }

sub postmaster {
    my ($self) = @_;
    open my $in, '<', "$self->{data}/postmaster.pid" or croak "$self->{data}/postmaster.pid: $!";
    return <$in> + 0;
}

# Kills all processes at once, as a failure of the machine does.
sub crash {
    my ($self) = @_;
    my @processes = ($self->postmaster, $self->processes);
    return kill KILL => @processes;
}

# A connection of the schema's owner, or of the superuser.
sub handle {
    my ($self, $role) = @_;
    return $self->handle_of($self->conninfo($role // 'learnhub_owner'));
}

# A DBI handle for a connection string.
sub handle_of {
    my ($class, $conninfo) = @_;
    return DBI->connect('dbi:Pg:' . join(';', split ' ', $conninfo), '', '',
        { RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoInactiveDestroy => 1, pg_enable_utf8 => 1 });
}

END {
    if ($$ == $owner) {
        my $status = $?;
        for my $cluster (grep { -e "$_->{data}/postmaster.pid" } @all) {
            $cluster->thaw;
            $cluster->stop('immediate') || $cluster->crash;
        }
        LearnHub::Cluster->main->thaw;
        $? = $status;
    }
}

1;
