# SPDX-License-Identifier: Apache-2.0
# A model behind a chat-completions URL: a small HTTP server that answers as it is told to, and remembers what it was asked.
package LearnHub::Model;

use strict;
use warnings;

use Carp qw(croak);
use Fcntl qw(:flock);
use IO::Socket::INET ();
use JSON::XS ();
use POSIX ();
use Time::HiRes ();

my $json = JSON::XS->new->utf8->canonical->allow_nonref;
my $serial = 0;

# Starts the server; it ends with this object.
sub new {
    my ($class) = @_;
    my $self = bless { files => "$ENV{LEARNHUB_TOP}/t/logs/model-$$-" . $serial++, owner => $$ }, $class;
    $self->{socket} = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64) or croak "listen: $!";
    $self->behave(content => '{}');
    $self->{pid} = fork // croak "fork: $!";
    return $self if $self->{pid};
    local $SIG{CHLD} = 'IGNORE';
    while (1) {
        my $client = $self->{socket}->accept or next;
        next if fork;
        eval { $self->serve($client) };
        POSIX::_exit(0);
    }
}

sub url { my ($self) = @_; return 'http://127.0.0.1:' . $self->{socket}->sockport . '/v1/chat/completions' }

# What it does from now on: content => what the model says, or body => the whole answer; status => 500, after => seconds.
sub behave {
    my ($self, %how) = @_;
    open my $out, '>', "$self->{files}.how" or croak $!;
    print $out $json->encode(\%how);
    close $out;
    rename "$self->{files}.how", "$self->{files}.json" or croak $!;
    return;
}

# All it was asked: {line, headers => {}, body => decoded}.
sub asked {
    my ($self) = @_;
    open my $in, '<', "$self->{files}.asked" or return;
    return map { $json->decode($_) } <$in>;
}

sub stop {
    my ($self) = @_;
    close $self->{socket};
    kill TERM => $self->{pid};
    waitpid $self->{pid}, 0;
    delete $self->{pid};
    return;
}

sub DESTROY {
    my ($self) = @_;
    local $?;
    $self->stop if $self->{pid} && $self->{owner} == $$;
    return;
}

# ---- in the server ----

sub slurp { open my $in, '<', $_[0] or die; local $/; return scalar <$in> }

sub remember {
    my ($self, $request) = @_;
    open my $out, '>>', "$self->{files}.asked" or die;
    flock $out, LOCK_EX;
    print $out $json->encode($request), "\n";
    close $out;
    return;
}

sub serve {
    my ($self, $client) = @_;
    my $line = <$client> // return;
    my (%headers, $body);
    while ((my $header = <$client> // "\r\n") =~ /^([\w-]+):\s*(.*?)\r?\n$/) { $headers{ lc $1 } = $2 }
    read $client, $body, $headers{'content-length'} || 0;
    $self->remember({ line => $line =~ s/\s+$//r, headers => \%headers, body => eval { $json->decode($body) } });
    my $how = $json->decode(slurp("$self->{files}.json"));
    Time::HiRes::sleep($how->{after}) if $how->{after};
    my $answer = $how->{body} // $json->encode({ id => 'x', object => 'chat.completion',
        choices => [{ index => 0, message => { role => 'assistant', content => $how->{content} } }] });
    print $client 'HTTP/1.1 ', $how->{status} || 200, " X\r\nContent-Type: application/json\r\nConnection: close\r\n",
        'Content-Length: ', length $answer, "\r\n\r\n", $answer;
    close $client;
    return;
}

1;
