# SPDX-License-Identifier: Apache-2.0
# Reminders from the session to the mail, over real SMTP, with two httpd servers on one database: each person's own switch,
# each reminder once across servers and restarts, none for a session that was canceled, none after its start.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use LearnHub::Mail;
use LearnHub::Test;

my $sink = LearnHub::Mail->new->start;
my $smtp = 'LearnHubSMTP ' . $sink->url . "\nLearnHubMailFrom learnhub\@house.example\n";
my $hours = 0;

sub call { my ($who, $method, $path, %with) = @_; return api($method, $path, token => $who->{token}, %with) }

sub person {
    my ($name, %on) = @_;
    my $who = signup(first_name => $name, last_name => 'Ünal');
    my $id = user($who->{email})->{id};
    call($who, PATCH => "/notificationsettings/$id", json => { map { $_ => true } keys %on })->status == 200 or die;
    return $who;
}

my $mentor = person('Mentor', sixty_minute_alert => 1, fifteen_minute_alert => 1, session_canceled => 1);
my $mentee = person('Mentee', sixty_minute_alert => 1);
call($mentor, POST => '/mentorinfo/', json => { about_me => 'x', skills => 'y' })->status == 201 or die;
my $year = call($mentor, POST => '/availabilty/',
    json => { start_time => '2040-01-01T00:00:00Z', end_time => '2041-01-01T00:00:00Z' })->json->{pk};

# A confirmed session so many minutes from now.
sub confirmed {
    my ($minutes, $with) = @_;
    my $start = sprintf '2040-%02d-%02dT10:00:00Z', 1 + int($hours / 28), 1 + $hours % 28;
    $hours++;
    my $pk = call($with || $mentee, POST => '/sessionrequest/',
        json => { mentor_availability => $year, start_time => $start, session_length => 30 })->json->{pk};
    call($mentor, PATCH => "/sessionrequest/$pk", json => { status => 'Confirmed' })->status == 201 or die;
    sql('UPDATE learnhub.mentoring_sessions SET starts_at = now() + make_interval(secs => ?) WHERE id = ?', 60 * $minutes, $pk);
    return $pk;
}

# What has arrived: "to subject" => how often.
sub arrived {
    my %count;
    $count{"$_->{to} $_->{headers}{subject}"}++ for $sink->accepted;
    return \%count;
}
sub of { my ($pk) = @_; return map { $_->{state} } sql('SELECT state FROM learnhub.outbox WHERE subject_ref = ? ORDER BY id', "session $pk") }
sub settled { return eventually(sub { !sql("SELECT 1 FROM learnhub.outbox WHERE state IN ('waiting', 'sending')") }, 20) }

sql("UPDATE learnhub.outbox SET state = 'sent' WHERE state = 'waiting'"); # what other files have left
my @nodes = map { second_httpd($smtp) } 1, 2;
my $hour = 'Your session starts within 60 minutes';
my $quarter = 'Your session starts within 15 minutes';

# ---- each once, to whom it concerns ----

my @soon = map { confirmed(55) } 1 .. 5;
ok(eventually(sub { 10 == grep { $_ eq 'sent' } map { of($_) } @soon }, 30), 'an hour before: both are reminded by the servers themselves');
is_deeply(arrived(), { "$mentor->{email} $hour" => 5, "$mentee->{email} $hour" => 5 }, 'each once, one person a mail');
my ($mail) = grep { $_->{to} eq $mentee->{email} } $sink->accepted;
like($mail->{text} // $mail->{body}, qr/With: Mentor Ünal\r?\n.*UTC \(\+00:00\)/s, 'with whom and when');
sql("UPDATE learnhub.mentoring_sessions SET starts_at = now() + interval '14 minutes' WHERE id = ?", $soon[0]);
ok(eventually(sub { (arrived()->{"$mentor->{email} $quarter"} || 0) == 1 }, 30), 'a quarter before: the one whose switch is on');
$nodes[0]->restart('restart');
$nodes[1]->graceful;
settled();
sleep 6; # every server has looked again
is_deeply(arrived(), { "$mentor->{email} $hour" => 5, "$mentee->{email} $hour" => 5, "$mentor->{email} $quarter" => 1 },
    'restarts send nothing again');

# ---- canceled in between, begun in between ----

expect_log(qr/the mail server cannot be used, mails wait/);
$sink->stop;
my $canceled = confirmed(50);
my $late = confirmed(14);
ok(eventually(sub { of($canceled) == 2 && of($late) == 1 }, 30), 'the mail server is down: reminders wait');
is(call($mentee, PATCH => "/sessionrequest/$canceled", json => { status => 'Canceled' })->status, 201, 'one session is canceled');
sql("UPDATE learnhub.outbox SET not_after = now() WHERE subject_ref = ?", "session $late");
ok(eventually(sub { (of($late))[0] eq 'expired' }, 30), 'the other one begins');
$sink->start;
ok(settled(), 'the mail server is back');
is_deeply(arrived(), { "$mentor->{email} $hour" => 5, "$mentee->{email} $hour" => 5, "$mentor->{email} $quarter" => 1,
        "$mentor->{email} Your session was canceled" => 1 }, 'no reminder of either; the mentor hears that it was canceled');

done_testing();
