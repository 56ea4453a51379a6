# SPDX-License-Identifier: Apache-2.0
# Connections to PostgreSQL by psql. Passwords are never arguments: psql gets them in its environment.
package LearnHubCtl::Database;

use strict;
use warnings;

use Exporter qw(import);

use LearnHubCtl::Httpd;

our @EXPORT = qw(parameters owner_conninfo psql execute);

# The parameters of a connection string "name=value name='a value'", as a list of pairs.
sub parameters {
    my ($conninfo) = @_;
    my @pairs;
    while ($conninfo =~ /\G\s*([^\s=]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s\\]|\\.)*)/gcs) {
        my ($name, $value) = ($1, $2);
        $value =~ s/^'(.*)'$/$1/s;
        push @pairs, [$name, $value =~ s/\\(.)/$1/gsr];
    }
    $conninfo =~ /\G\s*\z/gc or fail('the connection string is not valid: expected name=value');
    return @pairs;
}

sub conninfo { return join ' ', map { "$_->[0]='" . $_->[1] =~ s/([\\'])/\\$1/gr . q(') } @_ }

# The connection string without its password, and the password.
sub without_password {
    my ($conninfo) = @_;
    my $password;
    if ($conninfo =~ m{^postgres(?:ql)?://}) {
        $password = $2 if $conninfo =~ s{^(\w+://[^:/@]*):([^/@]*)@}{$1@};
        $password = $2 if $conninfo =~ s{([?&])password=([^&]*)(&|\z)}{$3 ? $1 : ''}e;
        $password =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge if defined $password;
    }
    else {
        my @pairs = parameters($conninfo);
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
    my ($conninfo) = grep {defined} map { setting($_, 'DBDParams') } serving(httpd($option->{f}));
    defined $conninfo or fail('no DBDParams of a server with LearnHub On was found: give the database with -d');
    my %httpd = map {@$_} parameters($conninfo);
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
