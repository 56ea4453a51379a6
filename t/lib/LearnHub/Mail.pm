# SPDX-License-Identifier: Apache-2.0
# A mail server of a test: speaks SMTP on a port of its own and keeps what it was given. It can be told to refuse, to
# hang or to hang up at any command.
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

# LearnHub::Mail->new: it has a port, but does not listen before ->start.
sub new {
    my ($class) = @_;
    my $files = "$ENV{LEARNHUB_TOP}/t/logs/mail-$$-" . $serial++;
    my $self = bless { port => LearnHub::Server->free_port, files => $files, owner => $$ }, $class;
    push @all, $self;
    return $self->behave;
}

sub url { my ($self) = @_; return "smtp://127.0.0.1:$self->{port}" }
sub port { my ($self) = @_; return $self->{port} }

# behave(rcpt => '550 Nobody', ...): the replies, from the next command on, to connect, ehlo, starttls, auth, mail, rcpt,
# data and end (of the message); hang, close and slow (it accepts after six seconds) are replies, too. A hash tells
# recipients apart, at rcpt, data and end. offers => [extensions] of EHLO. What is not told is accepted.
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
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $self->{port}, Listen => 64, ReuseAddr => 1)
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

# Ends it with all of its conversations.
sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return $self;
    kill TERM => -$pid;
    waitpid $pid, 0;
    return $self;
}

# ---- one conversation ----

sub reply_to {
    my ($self, $what, $to) = @_;
    open my $in, '<', "$self->{files}.script" or return undef;
    my $replies = JSON::XS->new->utf8->decode(do { local $/; scalar <$in> });
    my $reply = $replies->{$what};
    return ref $reply eq 'HASH' ? $reply->{ $to // '' } : $reply;
}

sub keep {
    my ($self, $kind, $entry) = @_;
    open my $out, '>>', "$self->{files}.$kind" or die $!;
    flock $out, LOCK_EX;
    print $out JSON::XS->new->latin1->encode($entry), "\n";
    close $out or die $!;
    return;
}

# Answers as it was told, or with $good; true when that was $good.
sub answer {
    my ($self, $client, $what, $good, $to) = @_;
    my $reply = $self->reply_to($what, $to);
    sleep 3600 if ($reply // '') eq 'hang';
    die "closed\n" if ($reply // '') eq 'close';
    if (($reply // '') eq 'slow') { sleep 6; undef $reply }
    print $client $reply // $good, "\r\n";
    return !defined $reply;
}

sub line {
    my ($self, $client) = @_;
    my $line = readline $client;
    defined $line or die "the client left\n";
    $line =~ s/\r\n\z// or die "a line without CR LF\n";
    return $line;
}

sub talk {
    my ($self, $client) = @_;
    my %mail;
    $client->autoflush(1);
    $self->answer($client, 'connect', '220 sink ready') or return;
    while (1) {
        my $line = $self->line($client);
        my ($verb) = uc($line) =~ /^(\w+)/ or die "no command\n";
        $self->keep(commands => [$line]);
        my $do = { EHLO => \&ehlo, STARTTLS => \&starttls, AUTH => \&auth, MAIL => \&mail, RCPT => \&rcpt, DATA => \&data }->{$verb};
        if ($verb eq 'QUIT') { print $client "221 bye\r\n"; return }
        if ($do) { $do->($self, $client, $line, \%mail) }
        else { print $client $verb =~ /^(?:RSET|NOOP)$/ ? "250 ok\r\n" : "502 what?\r\n" }
    }
}

sub ehlo {
    my ($self, $client) = @_;
    my @offers = @{ $self->reply_to('offers') || ['8BITMIME'] };
    return $self->answer($client, 'ehlo', join "\r\n", map({"250-$_"} 'sink', @offers), '250 SIZE 1000000');
}

# What follows is no TLS, whatever the client says.
sub starttls {
    my ($self, $client) = @_;
    $self->answer($client, 'starttls', '220 go ahead') or return;
    print $client "this is no TLS\r\n";
    die "closed\n";
}

sub auth {
    my ($self, $client, $line, $mail) = @_;
    $line eq 'AUTH PLAIN' or die "another mechanism\n";
    print $client "334 \r\n";
    my (undef, $user, $password) = split /\0/, decode_base64($self->line($client));
    $mail->{login} = "$user:$password" if $self->answer($client, 'auth', '235 welcome');
    return;
}

sub mail {
    my ($self, $client, $line, $mail) = @_;
    ($mail->{from}) = $line =~ /<(.*?)>/;
    return $self->answer($client, 'mail', '250 ok');
}

sub rcpt {
    my ($self, $client, $line, $mail) = @_;
    ($mail->{to}) = $line =~ /<(.*?)>/;
    return $self->answer($client, 'rcpt', '250 ok', $mail->{to});
}

sub data {
    my ($self, $client, $line, $mail) = @_;
    $self->answer($client, 'data', '354 go on', $mail->{to}) or return;
    my @lines;
    while ((my $next = $self->line($client)) ne '.') {
        push @lines, $next =~ s/^\.//r;
    }
    my %kept = (%$mail, raw => join('', map {"$_\r\n"} @lines), at => Time::HiRes::time());
    my $refused = defined $self->reply_to('end', $mail->{to});
    $self->keep($refused ? 'refused' : 'accepted', \%kept);
    return $self->answer($client, 'end', '250 kept', $mail->{to});
}

# ---- what it was given ----

sub entries {
    my ($self, $kind) = @_;
    open my $in, '<', "$self->{files}.$kind" or return;
    return map { JSON::XS->new->latin1->decode($_) } <$in>;
}

# Messages in the order of their arrival: {from, to, login, raw, at, headers => {lower-case name => decoded value}, text}.
sub accepted { my ($self) = @_; return map { decoded($_) } $self->entries('accepted') }

# Those that were handed over whole, and not accepted.
sub refused { my ($self) = @_; return map { decoded($_) } $self->entries('refused') }

# The accepted ones to this address.
sub to { my ($self, $address) = @_; return grep { lc $_->{to} eq lc $address } $self->accepted }

# Every command line.
sub commands { my ($self) = @_; return map { $_->[0] } $self->entries('commands') }

sub decoded {
    my ($mail) = @_;
    my ($head, $body) = split /\r\n\r\n/, $mail->{raw}, 2;
    $head =~ s/\r\n[ \t]+/ /g;
    for (split /\r\n/, $head) {
        my ($name, $value) = /^([\w-]+): ?(.*)/ or croak "no header: $_";
        exists $mail->{headers}{ lc $name } and croak "twice: $name";
        $mail->{headers}{ lc $name } = decode('MIME-Header', $value);
    }
    $mail->{text} = decode('UTF-8', decode_qp($body)) =~ s/\r\n/\n/gr;
    return $mail;
}

END { local $?; $_->{owner} == $$ && $_->stop for @all }

1;
