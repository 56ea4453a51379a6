# SPDX-License-Identifier: Apache-2.0
# A language model behind a chat-completions URL: a small HTTP server that returns what the test configured and records
# the requests.
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

# Starts the server; it stops when the object is destroyed.
sub new {
    my ($class) = @_;
    my $self = bless { files => "$ENV{LEARNHUB_TOP}/t/logs/model-$$-$^T-" . $serial++, owner => $$ }, $class;
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

# Sets the responses from now on: content => text of the model, or body => the whole response; status => 500 (default
# 200); after => seconds before the response.
sub behave {
    my ($self, %response) = @_;
    open my $out, '>', "$self->{files}.new" or croak $!;
    print $out $json->encode(\%response);
    close $out;
    rename "$self->{files}.new", "$self->{files}.response" or croak $!;
    return;
}

# All requests received: {line, headers => {}, body => decoded}.
sub requests {
    my ($self) = @_;
    open my $in, '<', "$self->{files}.requests" or return;
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

# ---- the server process ----

sub slurp { open my $in, '<', $_[0] or die; local $/; return scalar <$in> }

sub record {
    my ($self, $request) = @_;
    open my $out, '>>', "$self->{files}.requests" or die;
    flock $out, LOCK_EX;
    print $out $json->encode($request), "\n";
    close $out;
    return;
}

sub serve {
    my ($self, $client) = @_;
    my $line = <$client> // return;
    my (%headers, $content);
    while ((my $header = <$client> // "\r\n") =~ /^([\w-]+):\s*(.*?)\r?\n$/) { $headers{ lc $1 } = $2 }
    read $client, $content, $headers{'content-length'} || 0;
    $self->record({ line => $line =~ s/\s+$//r, headers => \%headers, body => eval { $json->decode($content) } });
    my $response = $json->decode(slurp("$self->{files}.response"));
    Time::HiRes::sleep($response->{after}) if $response->{after};
    my @choices = { index => 0, message => { role => 'assistant', content => $response->{content} } };
    my $body = $response->{body} // $json->encode({ id => 'x', object => 'chat.completion', choices => \@choices });
    print $client 'HTTP/1.1 ', $response->{status} || 200, " X\r\n",
        "Content-Type: application/json\r\nConnection: close\r\n", 'Content-Length: ', length $body, "\r\n\r\n", $body;
    close $client;
    return;
}

1;
