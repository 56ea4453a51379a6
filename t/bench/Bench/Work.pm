# SPDX-License-Identifier: Apache-2.0
# The work loads: what is requested, which answer is right according to the database, and the same work in SQL for
# pgbench.
#
# A request is {method, path, user, body, status, check}: check->($request, $reply) returns a sentence about a wrong
# answer, or undef. A work load has
#   title      for the reader
#   requests   sent in a cycle; even entries by the first thread of wrk, odd ones by the second
#   route      the route in the table, for SQL
#   objects    the values of the statements' parameters, one hash for each of OBJECTS steps of pgbench
#   cached     whether the port with LearnHubCache is used; the limit is then `const`, without `sql`
#   writes     whether the data must be reset before each run
#   tries      of E: the number of requests that find a seat, or a session without one
#   found, changed  the least number of rows that pgbench finds by index and changes for a request, on average
#   mix        of F: how often pgbench runs the steps of other work loads
package Bench::Work;

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(sha256_hex);
use JSON::XS ();

use Bench::Site ();

use constant {
    OBJECTS => 500, # objects that are requested, of each kind
    SALE => 1_000_001, # the id of the first session of E
    SEATS => 4, # of a session of E
    TRIES => 5, # users who try to join a session of E
};

my $json = JSON::XS->new->utf8->canonical;
my @diagrams = map { Bench::Site::diagram($_) } 0, 1;

sub save { my ($diagram) = @_; return qq({"diagram_data":$diagram,"time_spent":600}) }

# Compares a response with the row of the database, all keys.
sub differs {
    my ($reply, $row) = @_;
    my ($found, $expected) = map { ref $_ ? $json->encode($_) : '' } $reply->{json}, $row;
    return $found eq $expected ? undef : "returned $found instead of $expected";
}

# Returns the row that a statement makes of one JSON value.
sub expected {
    my ($site, $statement, @values) = @_;
    my ($row) = $site->sql("SELECT ($statement)::text AS row", @values);
    utf8::encode($row->{row});
    return $json->decode($row->{row});
}

# ---- A, B, C ----

my $problem_row = <<'SQL';
SELECT json_build_object('id', encode(p.id, 'hex'), 'title', p.title, 'description', p.description,
    'difficulty', p.difficulty, 'categories', p.categories, 'estimated_time', p.estimated_time,
    'requirements', p.requirements, 'constraints', p.constraints, 'hints', p.hints, 'created_by', u.email,
    'created_at', to_char(p.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS'),
    'updated_at', to_char(p.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS'))
FROM learnhub.problems p JOIN learnhub.users u ON u.id = p.created_by WHERE p.id = decode(?, 'hex')
SQL

my $user_row = <<'SQL';
SELECT json_build_object('id', encode(object_id, 'hex'), 'first_name', first_name, 'last_name', last_name,
    'email', email, 'created_at', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS'))
FROM learnhub.users WHERE id = ?
SQL

my $page_rows = <<'SQL';
SELECT json_build_object('count', (SELECT count(*) FROM learnhub.tutoring_sessions), 'results', json_agg(s.row))
FROM (SELECT json_build_object('id', s.id, 'title', s.title, 'description', s.description,
          'date', learnhub.iso_seconds(s.starts_at), 'max_participants', s.max_participants,
          'creator', json_build_object('id', c.id, 'first_name', c.first_name, 'last_name', c.last_name,
              'email', c.email, 'role', c.role),
          'status', s.status, 'created_at', learnhub.iso_seconds(s.created_at),
          'updated_at', learnhub.iso_seconds(s.updated_at),
          'participant_count', (SELECT count(*) FROM learnhub.tutoring_participants p WHERE p.session_id = s.id),
          'is_full', s.max_participants <= s.participant_count,
          'available_spots', s.max_participants - s.participant_count,
          'can_join', s.status = 'upcoming' AND s.starts_at > now() AND s.participant_count < s.max_participants) AS row
      FROM learnhub.tutoring_sessions s JOIN learnhub.users c ON c.id = s.creator_id
      ORDER BY s.created_at DESC, s.id DESC LIMIT 20) s
SQL

sub reads {
    my ($site) = @_;
    my @problems = map { $_->{id} } $site->sql('SELECT encode(id, \'hex\') AS id FROM (SELECT id, row_number() '
            . 'OVER (ORDER BY id) AS n FROM learnhub.problems) p WHERE n % (10000 / ?) = 0', OBJECTS);
    my @users = map { 20 * $_ } 1 .. OBJECTS;
    my %get = (method => 'GET', status => 200);
    my $problem = sub { differs($_[1], expected($site, $problem_row, $_[0]{path} =~ s{.*/}{}r)) };
    my $user = sub { differs($_[1], expected($site, $user_row, $_[0]{user})) };
    my $page = sub { page_differs($site, $_[1]) };
    return (
        A => { title => 'GET /problems/{id}', route => 'problems.get',
            found => 2, changed => 0,
            requests => [map { +{ %get, path => "/problems/$_", check => $problem } } @problems],
            objects => [map { +{ id => $_ } } @problems],
        },
        B => { title => 'GET /users/me', route => 'users.me',
            found => 1, changed => 0,
            requests => [map { +{ %get, path => '/users/me', user => $_, check => $user } } @users],
            objects => [map { +{ me => $_ } } @users],
        },
        C => { title => 'GET /api/sessions/?page=1&page_size=20', route => 'tutoring.list',
            found => 20, changed => 0,
            requests => [map { +{ %get, path => '/api/sessions/?page=1&page_size=20', user => $_, check => $page } }
                    @users],
            objects => [map {
                    +{ limit => 20, offset => 0, status => undef, creator => undef, date_from => undef,
                        date_to => undef }
            } @users],
        },
    );
}

sub page_differs {
    my ($site, $reply) = @_;
    my %found = %{ $reply->{json} || {} };
    return 'has no link to page 2' if (delete($found{next}) // '') !~ m{^http://[\w.:]+/api/sessions/\?.*\bpage=2\b};
    return 'has a link to a page before the first' if defined delete $found{previous};
    return differs({ json => \%found }, expected($site, $page_rows));
}

# ---- D ----

# Saves the same diagram for all sessions, or a list of diagrams one after the other.
sub saves {
    my ($site, $sessions, @numbers) = @_;
    my $check = sub { save_differs($site, @_) };
    return map {
        my $number = $_;
        map { +{ method => 'PUT', path => "/sessions/$_->{id}/autosave", user => $_->{me}, status => 200,
                body => save($diagrams[$number]), check => $check } } @$sessions
    } @numbers;
}

sub diagram_values {
    my ($number) = @_;
    my $diagram = $diagrams[$number];
    return (diagram_data => $diagram, time_spent => 600, fingerprint => sha256_hex($diagram),
        hash => md5_hex($diagram));
}

# The response and the row must have the diagram that was sent, and its canonical MD5.
sub save_differs {
    my ($site, $request, $reply) = @_;
    my $sent = $json->decode($request->{body});
    my $diagram = $json->encode($sent->{diagram_data});
    my ($id) = $request->{path} =~ m{/sessions/(\w+)/};
    my ($row) = $site->sql('SELECT s.diagram_data::text AS diagram, s.diagram_hash, s.time_spent, u.email '
            . 'FROM learnhub.practice_sessions s JOIN learnhub.users u ON u.id = s.user_id '
            . "WHERE s.id = decode(?, 'hex')", $id);
    return 'stored another diagram' if $json->encode($json->decode($row->{diagram})) ne $diagram;
    return 'stored another hash' if $row->{diagram_hash} ne md5_hex($diagram);
    return 'stored another time' if $row->{time_spent} != $sent->{time_spent};
    my %found = map { $_ => $reply->{json}{$_} } qw(id user_id diagram_data diagram_hash time_spent status);
    return differs({ json => \%found }, { id => $id, user_id => $row->{email}, time_spent => 600, status => 'active',
            diagram_data => $sent->{diagram_data}, diagram_hash => md5_hex($diagram) });
}

sub auto_saves {
    my ($site) = @_;
    my @sessions = $site->sql("SELECT encode(id, 'hex') AS id, user_id AS me FROM learnhub.practice_sessions "
            . 'WHERE user_id % (5000 / ?) = 0 ORDER BY user_id', OBJECTS);
    my @pairs = (reverse @sessions)[0 .. OBJECTS / 2 - 1]; # in F, not those that D1 saves at the same time
    return (
        D1 => { title => 'auto-save of an unchanged diagram', route => 'sessions.autosave', writes => 1,
            found => 1, changed => 1,
            requests => [saves($site, \@sessions, 0)], only_extra_sql => 1,
            objects => [map { +{ %$_, diagram_values(0) } } @sessions],
        },
        D2 => { title => 'auto-save of a changed diagram', route => 'sessions.autosave', writes => 1,
            found => 1, changed => 1,
            requests => [saves($site, \@sessions, 1, 0)], no_extra_sql => 1,
            objects => [map { my $session = $_; map { +{ %$session, diagram_values($_) } } 1, 0 } @pairs],
        },
    );
}

# ---- E ----

# Whether the response to a join or leave lists the user.
sub is_in {
    my ($try, $reply) = @_;
    return scalar grep { $_->{user}{id} == $try->{me} } @{ $reply->{json}{session}{participants} };
}

# The response to a join or leave lists the participants in the database.
sub participants_differ {
    my ($site, $try, $reply) = @_;
    my @rows = $site->sql('SELECT user_id FROM learnhub.tutoring_participants WHERE session_id = ? ORDER BY id',
        $try->{id});
    my @listed = map { $_->{user}{id} } @{ $reply->{json}{session}{participants} };
    return "@listed" eq join(' ', map { $_->{user_id} } @rows) ? undef : "lists the participants @listed";
}

# The session and the user of the try `number`.
sub try_of { my ($number) = @_; return { id => SALE + int($number / TRIES), me => 501 + $number % 9000 } }

# The status is that of tries one after the other.
sub try_request {
    my ($site, $number) = @_;
    my $try = try_of($number);
    my %request = (method => 'POST', path => "/api/sessions/$try->{id}/join/", user => $try->{me});
    return { %request, status => 400 } if $number % TRIES >= SEATS;
    return { %request, status => 201,
        check => sub { participants_differ($site, $try, $_[1]) || !is_in($try, $_[1]) && 'does not list the user' } };
}

sub sale {
    my ($site, $tries) = @_;
    return (
        E => { title => 'POST /api/sessions/{id}/join/', route => 'tutoring.join', writes => 1, tries => $tries,
            found => 1, changed => 1.5,
            requests => [map { try_request($site, $_) } 0 .. $tries - 1],
        },
    );
}

# A, B and C from the cache: the same requests to the port with LearnHubCache.
sub cached {
    my ($works) = @_;
    return map { my $work = $works->{$_}; "$_-cached" => { %$work, title => "$work->{title}, cached", cached => 1 } }
        qw(A B C);
}

# All work loads by name. E has `tries` requests, which must suffice for a run.
sub all {
    my ($site, $tries) = @_;
    my %works = (reads($site), auto_saves($site), sale($site, $tries));
    return { %works, cached(\%works), mix($site, \%works) };
}

# Removes what an earlier run has changed, and opens the sessions of E.
sub reset_data {
    my ($site, $name, $works) = @_;
    $site->sql('DELETE FROM learnhub.tutoring_participants p USING learnhub.tutoring_sessions s '
            . 'WHERE s.id = p.session_id AND (s.id > 20000 OR s.id % 11 = 0)');
    $site->sql('DELETE FROM learnhub.tutoring_sessions WHERE id > 20000');
    $site->sql('UPDATE learnhub.tutoring_sessions SET participant_count = 0 '
            . 'WHERE id % 11 = 0 AND participant_count > 0');
    $site->sql('UPDATE learnhub.practice_sessions SET diagram_data = ?, diagram_hash = ?, '
            . "diagram_fingerprint = decode(?, 'hex') WHERE diagram_hash <> ?",
        $diagrams[0], md5_hex($diagrams[0]), sha256_hex($diagrams[0]), md5_hex($diagrams[0]));
    open_sale($site, $works->{E}{tries}) if $name eq 'E';
    $site->sql("VACUUM ANALYZE learnhub.$_") for qw(tutoring_sessions tutoring_participants practice_sessions
        list_counts);
    $site->checkpoint;
    return;
}

sub open_sale {
    my ($site, $tries) = @_;
    return $site->sql('INSERT INTO learnhub.tutoring_sessions (id, title, description, starts_at, max_participants, '
            . 'creator_id) OVERRIDING SYSTEM VALUE '
            . "SELECT ? + n, 'Sale ' || n, 'Few seats.', now() + interval '30 days', ?, 1 + n % 500 "
            . 'FROM generate_series(0, ?) n', SALE, SEATS, $tries / TRIES - 1);
}

# What E sold according to the database: {sold, wrong}. `tried` is the number of tries that were sent, in the order of
# their numbers; one for each connection may be without an answer.
sub sold {
    my ($site, $tried, $connections) = @_;
    my ($row) = $site->sql(<<'SQL', SEATS, SALE + int($tried / TRIES), SEATS, SALE);
SELECT count(*) FILTER (WHERE s.participant_count <> p.joined OR p.joined > ?) AS wrong, sum(p.joined) AS sold,
       count(*) FILTER (WHERE s.id < ? AND p.joined < ?) AS left_over
FROM learnhub.tutoring_sessions s,
     LATERAL (SELECT count(*) AS joined FROM learnhub.tutoring_participants p WHERE p.session_id = s.id) p
WHERE s.id >= ?
SQL
    my @wrong;
    push @wrong, "$row->{wrong} sessions sold another number of seats than they count or have" if $row->{wrong};
    push @wrong, "$row->{left_over} sessions have seats left" if $row->{left_over} > $connections;
    return { sold => $row->{sold}, wrong => \@wrong };
}

# Sentences about data that auto-saves, joins and leaves have damaged.
sub wrong_data {
    my ($site) = @_;
    my ($row) = $site->sql(<<'SQL');
SELECT (SELECT count(*) FROM learnhub.practice_sessions
        WHERE diagram_hash <> md5(diagram_data::text)
           OR diagram_fingerprint <> sha256(convert_to(diagram_data::text, 'UTF8'))) AS diagrams,
       (SELECT count(*) FROM learnhub.tutoring_sessions s
        WHERE participant_count <> (SELECT count(*) FROM learnhub.tutoring_participants p
                                    WHERE p.session_id = s.id)) AS sessions
SQL
    my @wrong;
    push @wrong, "$row->{diagrams} diagrams do not have their hash" if $row->{diagrams};
    push @wrong, "$row->{sessions} sessions count other participants than they have" if $row->{sessions};
    return @wrong;
}

# ---- F ----

# Two lists for the two threads, merged. Each has 70 % reads, 25 % auto-saves, of which half are changed, and 5 % joins,
# leaves and creates. A leave follows its join after more than 400 requests, so that no request is rejected.
sub mix {
    my ($site, $works) = @_;
    my @threads = map { mix_of_thread($site, $works, $_) } 0, 1;
    return (
        F => { title => 'a mix: 70 % reads, 25 % auto-saves, 5 % other writes', writes => 1,
            found => 4, changed => 0.2,
            requests => [map { ($threads[0][$_], $threads[1][$_]) } 0 .. $#{ $threads[0] }],
            mix => { A => 28, B => 28, C => 28, D1 => 15, D2 => 15, visit => 4, create => 2 },
        },
    );
}

my %new_session = (title => 'Closures', description => 'What they are.', date => '2040-01-01T00:00:00Z',
    max_participants => 5);

sub new_session { return %new_session }

# The sessions that users join and leave in F have no other participants.
sub visits {
    my @ids = grep { $_ % 20 } map { 11 * $_ } 1 .. 1800;
    return map { +{ id => $ids[$_], me => 5001 + $_ } } 0 .. OBJECTS - 1;
}

sub visit_request {
    my ($site, $visit, $verb) = @_;
    return { method => 'POST', path => "/api/sessions/$visit->{id}/$verb/", user => $visit->{me},
        status => $verb eq 'join' ? 201 : 200,
        check => sub {
            my $why = participants_differ($site, $visit, $_[1]);
            return $why || is_in($visit, $_[1]) == ($verb eq 'join') ? $why : "the user did not $verb";
        },
    };
}

sub create_request {
    my ($site, $user) = @_;
    return { method => 'POST', path => '/api/sessions/', user => $user, status => 201,
        body => $json->encode(\%new_session),
        check => sub {
            my ($row) = $site->sql('SELECT creator_id, title FROM learnhub.tutoring_sessions WHERE id = ?',
                $_[1]{json}{id});
            my $stored = $row && $row->{creator_id} == $user && $row->{title} eq $new_session{title};
            return $stored ? undef : 'stored no such session';
        },
    };
}

# One cycle of a thread: 1,200 requests, of which 840 read, 300 save and 60 write.
sub mix_of_thread {
    my ($site, $works, $thread) = @_;
    my $own = sub { my ($list) = @_; return @$list[grep { $_ % 2 == $thread } 0 .. $#$list] };
    my @reads = map { [$own->($works->{$_}{requests})] } qw(A B C);
    my @sessions = $own->($works->{D1}{objects});
    my @saves = saves($site, [@sessions[0 .. 74]], 1, 1, 0, 0);
    my @visits = $own->([visits()]);
    my @writes = map { (visit_request($site, $visits[$_], 'join'), create_request($site, 1 + $_)) } 0 .. 19;
    push @writes, map { visit_request($site, $visits[$_], 'leave') } 0 .. 19;
    my ($read, @cycle) = (0);
    @reads = map { my $i = $_; map { $_->[$i] } @reads } 0 .. $#{ $reads[0] };

    for my $i (0 .. 1199) {
        my $place = $i % 20;
        push @cycle, $place == 7 ? shift @writes : $place % 4 == 1 ? shift @saves
            : $reads[$read++ % @reads];
    }
    return \@cycle;
}

1;
