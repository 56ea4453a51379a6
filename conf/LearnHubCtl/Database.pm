# SPDX-License-Identifier: Apache-2.0
# Connections to PostgreSQL by psql. Passwords are never arguments: psql gets them in its environment.
package LearnHubCtl::Database;

use strict;
use warnings;

use Exporter qw(import);

use LearnHubCtl::Httpd;

our @EXPORT = qw(parameters is_uri split_uri name_of owner_conninfo psql execute);

# The parameters of a connection string "name=value name='a value'", as a list of pairs; none if it is not valid.
sub parameters {
    my ($conninfo) = @_;
    my @pairs;
    while ($conninfo =~ /\G\s*(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s\\]|\\.)*)/gcs) {
        my ($name, $value) = ($1, $2);
        $value =~ s/^'(.*)'$/$1/s;
        push @pairs, [$name, $value =~ s/\\(.)/$1/gsr];
    }
    return $conninfo =~ /\G\s*\z/gc ? @pairs : ();
}

sub conninfo { return join ' ', map { "$_->[0]='" . $_->[1] =~ s/([\\'])/\\$1/gr . q(') } @_ }

sub is_uri { my ($conninfo) = @_; return $conninfo =~ m{^postgres(?:ql)?://} }

my $host = qr{(?:\[[^]/?@]*\]|[^][:,/?@]*)(?::\d*)?};
my $pair = qr{\w+=[^&=@]*};
my $uri = qr{^\w+://(?:[^:/@]*@)?$host(?:,$host)*(?:/[^?@]*)?(?:\?(?:$pair(?:&$pair)*)?)?\z};

# A URI without its password, and the password, as libpq reads it; none if it is not valid. What libpq does not accept
# must not reach psql: it may be a part of a password, which the error would show.
sub split_uri {
    my ($conninfo) = @_;
    my $password;
    $password = $2 if $conninfo =~ s{^(\w+://[^:/@]*):([^/@]*)@}{$1@};
    $password = $1 while $conninfo =~ s{(?<=[?&])password=([^&=@]*)(?:&|\z)}{};
    $conninfo =~ s/[?&]\z//;
    return if $conninfo !~ $uri || ($password // '') =~ /%(?:00|(?![0-9A-Fa-f]{2}))/;
    $password =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge if defined $password;
    return ($conninfo, $password);
}

# How messages name a database.
sub name_of {
    my ($conninfo) = @_;
    return (split_uri($conninfo))[0] // 'a URI' if is_uri($conninfo);
    return join ' ', map {"$_->[0]=$_->[1]"} grep { $_->[0] =~ /^(?:service|host|hostaddr|port|dbname)$/ }
        parameters($conninfo);
}

# The connection string without its password, and the password.
sub without_password {
    my ($conninfo) = @_;
    my $password;
    if (is_uri($conninfo)) {
        ($conninfo, $password) = split_uri($conninfo)
            or fail('the URI is not valid: in a password, @ : / ? & = % must be %40 %3A %2F %3F %26 %3D %25');
    }
    else {
        my @pairs = parameters($conninfo);
        @pairs || $conninfo !~ /\S/ or fail('the connection string is not valid: expected name=value');
        ($password) = map { $_->[1] } grep { $_->[0] eq 'password' } @pairs;
        $conninfo = conninfo(grep { $_->[0] ne 'password' } @pairs);
    }
    $conninfo !~ /\bsslpassword\b/ or fail('sslpassword would appear in the list of processes: use a key without one');
    return ($conninfo, $password);
}

# The connection string of the schema's owner. Without -d, DATABASE or libpq's variables it is that of httpd, with the
# role -U.
sub owner_conninfo {
    my ($option) = @_;
    return $option->{d} // $ENV{DATABASE} if length($option->{d} // $ENV{DATABASE} // '');
    return '' if grep { length($ENV{$_} // '') } qw(PGSERVICE PGHOST PGHOSTADDR PGDATABASE);
    my ($first) = databases(httpd($option->{f}));
    $first or fail('no DBDParams of a server with LearnHub On was found: give the database with -d');
    my $conninfo = $first->[0];
    my %httpd = map {@$_} parameters($conninfo);
    %httpd or fail('DBDParams is no list of name=value: give the database with -d or DATABASE');
    $option->{g} //= $httpd{user};
    my @kept = grep { defined $httpd{$_} }
        qw(service host hostaddr port sslmode sslrootcert gssencmode target_session_attrs connect_timeout);
    my $name = $httpd{dbname} // $httpd{user} // 'learnhub';
    return conninfo([dbname => $name], [user => $option->{U}], map { [$_ => $httpd{$_}] } @kept);
}

# The command of psql for a connection. Sets the environment of this process.
sub psql {
    my ($conninfo, @arguments) = @_;
    my ($public, $password) = without_password($conninfo);
    $ENV{PGPASSWORD} = $password if defined $password;
    $ENV{PGCLIENTENCODING} = 'UTF8';
    return ($ENV{PSQL} || 'psql', '-X', length $public ? ('-d', $public) : (), @arguments);
}

# Executes statements as the owner, from standard input; returns whether that succeeded.
sub execute {
    my ($conninfo, $statements, @arguments) = @_;
    my @command = psql($conninfo, '-q', '-v', 'ON_ERROR_STOP=1', @arguments, '-f', '-');
    local $SIG{PIPE} = 'IGNORE';
    open my $psql, '|-', @command or fail("$command[0] cannot be executed: $!");
    print {$psql} $statements;
    return close $psql;
}

1;
