# SPDX-License-Identifier: Apache-2.0
# A mail server for tests: speaks SMTP on its own port and stores the messages. At any command it can reject, hang or
# close the connection.
package LearnHub::Mail;

use strict;
use warnings;

use Carp qw(croak);
use Encode qw(decode);
use Fcntl qw(:flock);
use IO::Socket::INET ();
use JSON::XS ();
use MIME::Base64 qw(decode_base64);
use MIME::QuotedPrint qw(decode_qp);
use POSIX ();
use Time::HiRes ();

use LearnHub::Server;

my $serial = 0;
my @all;

# LearnHub::Mail->new: reserves a port; the server listens after ->start.
sub new {
    my ($class) = @_;
    my $files = "$ENV{LEARNHUB_TOP}/t/logs/mail-$$-$^T-" . $serial++;
    my $self = bless { port => LearnHub::Server->free_port, files => $files, owner => $$ }, $class;
    push @all, $self;
    return $self->behave;
}

sub url { my ($self) = @_; return "smtp://127.0.0.1:$self->{port}" }
sub port { my ($self) = @_; return $self->{port} }

# behave(rcpt => '550 Nobody', ...): sets the replies, from the next command on, to connect, ehlo, starttls, auth, mail,
# rcpt, data and end (of the message). A reply is an SMTP line or hang, close, slow (accept after six seconds), pause
# (accept after 20 milliseconds); at rcpt, data and end it may be a hash by recipient. offers => [EHLO extensions].
# Everything else is accepted.
sub behave {
    my ($self, %replies) = @_;
    open my $out, '>', "$self->{files}.new" or croak "$self->{files}: $!";
    print $out JSON::XS->new->utf8->encode(\%replies);
    close $out or croak "$self->{files}: $!";
    rename "$self->{files}.new", "$self->{files}.script" or croak "$self->{files}: $!";
    return $self;
}

sub start {
    my ($self) = @_;
    my %address = (LocalAddr => '127.0.0.1', LocalPort => $self->{port});
    my $listener = IO::Socket::INET->new(%address, Listen => 64, ReuseAddr => 1)
        or croak "port $self->{port}: $!";
    $self->{pid} = fork // croak "fork: $!";
    if (!$self->{pid}) {
        setpgrp;
        @SIG{qw(CHLD TERM PIPE)} = qw(IGNORE DEFAULT IGNORE);
        while (1) {
            my $client = $listener->accept or next;
            next if fork;
            eval { $self->talk($client) };
            POSIX::_exit(0);
        }
    }
    setpgrp $self->{pid}, $self->{pid};
    return $self;
}

# Stops the server and all of its connections.
sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return $self;
    kill TERM => -$pid;
    waitpid $pid, 0;
    return $self;
}

# ---- one connection ----

sub reply_to {
    my ($self, $command, $to) = @_;
    open my $in, '<', "$self->{files}.script" or return undef;
    my $replies = JSON::XS->new->utf8->decode(do { local $/; scalar <$in> });
    my $reply = $replies->{$command};
    return ref $reply eq 'HASH' ? $reply->{ $to // '' } : $reply;
}

sub store {
    my ($self, $kind, $entry) = @_;
    open my $out, '>>', "$self->{files}.$kind" or die $!;
    flock $out, LOCK_EX;
    print $out JSON::XS->new->latin1->encode($entry), "\n";
    close $out or die $!;
    return;
}

# Sends the configured reply, or $good if none is configured; true for $good.
sub reply {
    my ($self, $client, $command, $good, $to) = @_;
    my $reply = $self->reply_to($command, $to);
    sleep 3600 if ($reply // '') eq 'hang';
    die "closed\n" if ($reply // '') eq 'close';
    if (($reply // '') =~ /^(?:slow|pause)$/) {
        Time::HiRes::sleep($reply eq 'slow' ? 6 : 0.02);
        undef $reply;
    }
    print $client $reply // $good, "\r\n";
    return !defined $reply;
}

sub line {
    my ($self, $client) = @_;
    my $line = readline $client;
    defined $line or die "the client closed the connection\n";
    $line =~ s/\r\n\z// or die "a line without CR LF\n";
    return $line;
}

my %command = (EHLO => \&ehlo, STARTTLS => \&starttls, AUTH => \&auth, MAIL => \&mail, RCPT => \&rcpt, DATA => \&data);

sub talk {
    my ($self, $client) = @_;
    my %mail;
    $client->autoflush(1);
    $self->reply($client, 'connect', '220 sink ready') or return;
    while (1) {
        my $line = $self->line($client);
        my ($verb) = uc($line) =~ /^(\w+)/ or die "no command\n";
        $self->store(commands => [$line]);
        if ($verb eq 'QUIT') { print $client "221 bye\r\n"; return }
        if ($command{$verb}) { $command{$verb}->($self, $client, $line, \%mail) }
        else { print $client $verb =~ /^(?:RSET|NOOP)$/ ? "250 ok\r\n" : "502 what?\r\n" }
    }
}

sub ehlo {
    my ($self, $client) = @_;
    my @offers = @{ $self->reply_to('offers') || ['8BITMIME'] };
    return $self->reply($client, 'ehlo', join "\r\n", map({"250-$_"} 'sink', @offers), '250 SIZE 1000000');
}

# Accepts STARTTLS and then sends bytes that are not TLS.
sub starttls {
    my ($self, $client) = @_;
    $self->reply($client, 'starttls', '220 go ahead') or return;
    print $client "this is not TLS\r\n";
    die "closed\n";
}

sub auth {
    my ($self, $client, $line, $mail) = @_;
    $line eq 'AUTH PLAIN' or die "not AUTH PLAIN\n";
    print $client "334 \r\n";
    my (undef, $user, $password) = split /\0/, decode_base64($self->line($client));
    $mail->{login} = "$user:$password" if $self->reply($client, 'auth', '235 welcome');
    return;
}

sub mail {
    my ($self, $client, $line, $mail) = @_;
    ($mail->{from}) = $line =~ /<(.*?)>/;
    return $self->reply($client, 'mail', '250 ok');
}

sub rcpt {
    my ($self, $client, $line, $mail) = @_;
    ($mail->{to}) = $line =~ /<(.*?)>/;
    return $self->reply($client, 'rcpt', '250 ok', $mail->{to});
}

sub data {
    my ($self, $client, $line, $mail) = @_;
    $self->reply($client, 'data', '354 go on', $mail->{to}) or return;
    my @lines;
    while ((my $next = $self->line($client)) ne '.') {
        push @lines, $next =~ s/^\.//r;
    }
    my %stored = (%$mail, raw => join('', map {"$_\r\n"} @lines), at => Time::HiRes::time());
    my $rejected = ($self->reply_to('end', $mail->{to}) // 'pause') ne 'pause';
    $self->store($rejected ? 'rejected' : 'accepted', \%stored);
    return $self->reply($client, 'end', '250 stored', $mail->{to});
}

# ---- the messages received ----

sub entries {
    my ($self, $kind) = @_;
    open my $in, '<', "$self->{files}.$kind" or return;
    return map { JSON::XS->new->latin1->decode($_) } <$in>;
}

# The accepted messages in order of arrival:
# {from, to, login, raw, at, headers => {lower-case name => decoded value}, text}.
sub accepted { my ($self) = @_; return map { decoded($_) } $self->entries('accepted') }

# The messages that were transferred completely and then rejected.
sub rejected { my ($self) = @_; return map { decoded($_) } $self->entries('rejected') }

# The accepted messages to this address.
sub to { my ($self, $address) = @_; return grep { lc $_->{to} eq lc $address } $self->accepted }

# All command lines received.
sub commands { my ($self) = @_; return map { $_->[0] } $self->entries('commands') }

sub decoded {
    my ($mail) = @_;
    my ($head, $body) = split /\r\n\r\n/, $mail->{raw}, 2;
    $head =~ s/\r\n[ \t]+/ /g;
    for (split /\r\n/, $head) {
        my ($name, $value) = /^([\w-]+): ?(.*)/ or croak "not a header: $_";
        exists $mail->{headers}{ lc $name } and croak "duplicate header: $name";
        $mail->{headers}{ lc $name } = decode('MIME-Header', $value);
    }
    $mail->{text} = decode('UTF-8', decode_qp($body)) =~ s/\r\n/\n/gr;
    return $mail;
}

END { local $?; $_->{owner} == $$ && $_->stop for @all }

1;
