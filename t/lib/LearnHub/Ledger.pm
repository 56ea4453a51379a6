# SPDX-License-Identifier: Apache-2.0
# A ledger of the responses that clients got while a fault was made, and its comparison with the database. Clients send
# reads and writes to one or more httpd nodes. Each write has a unique key. A response of 2xx acknowledges it, 4xx
# refuses it, and after 503 or no response its outcome is unknown.
package LearnHub::Ledger;

use strict;
use warnings;

use Carp qw(croak);
use Exporter qw(import);
use POSIX ();
use Storable ();
use Time::HiRes qw(time);

use LearnHub::Sockets;
use LearnHub::Test;

our @EXPORT = qw(ledger long node_directives consistent expect_outage);

my $serial = 0;

# Whether the scenarios run at length: FAULTS=long in the environment, as make -f Makefile.apxs faults sets.
sub long { return ($ENV{FAULTS} // '') eq 'long' }

# The directives of a second_httpd() for a ledger: no limits of requests.
sub node_directives { my ($more) = @_; return "LearnHubRate Off\n" . ($more // '') }

# Allows the log lines of an outage of PostgreSQL: it is unavailable, a request or a job has lost its connection or
# passed its deadline, PostgreSQL shuts down, a statement was canceled, a server is read-only, its disk is full, or a
# pooler has lost its server.
sub expect_outage {
    return expect_log(qr/LH(?:0004|0005|0020|0031|0113): /, qr/SQLSTATE (?:57P0\d|57014|25006|53100|08P01)/,
        qr/\[dbd:error\]/);
}

# ---- what clients send ----

my %future = (description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 20);
my %ended = (status => 'completed', ended_at => '2025-01-15T12:00:00Z', completed_reason => 'manual', xp_total => 7,
    map { $_ => 1 } qw(total_duration_seconds focused_duration_seconds xp_physique xp_energy xp_logic xp_creativity
        xp_social));

# For each kind of write: method, path and rest of the request of client $c with the key $key. `n` counts the requests
# of the client, `person` is its user.
my %write = (
    create => sub { my ($l, $c, $key) = @_;
        (POST => '/api/sessions/', token => $l->{teacher}{token}, json => { title => $key, %future }) },
    join => sub { my ($l, $c) = @_; (POST => "/api/sessions/$l->{session}/join/", token => $c->{person}{token}) },
    leave => sub { my ($l, $c) = @_; (POST => "/api/sessions/$l->{session}/leave/", token => $c->{person}{token}) },
    problem => sub { my ($l, $c, $key) = @_;
        (POST => '/problems/', token => $c->{person}{token},
            json => { title => $key, description => 'D', difficulty => 'easy' }) },
    autosave => sub { my ($l, $c) = @_;
        (PUT => "/sessions/$c->{practice}/autosave", token => $c->{person}{token},
            json => { diagram_data => { n => $c->{n} }, time_spent => $c->{n} }) },
    chat => sub { my ($l, $c, $key) = @_;
        (POST => "/sessions/$c->{practice}/chat", token => $c->{person}{token},
            json => { role => 'user', content => $key }) },
    coding => sub { my ($l, $c, $key) = @_;
        (POST => '/api/codingsessions/', token => $c->{person}{token},
            json => { duration => '01:00:00', source => 'manual', session_name => $key }) },
    eco => sub { my ($l, $c, $key) = @_;
        (POST => '/api/ecoactivities/', token => $c->{person}{token},
            json => { kind => 'walking', duration => '00:30:00', description => $key }) },
    spend => sub { my ($l, $c, $key) = @_;
        (POST => '/api/credits/spend/', token => $c->{person}{token}, json => { amount => 1, reason => $key }) },
    booking => sub { my ($l, $c, $key) = @_;
        (POST => '/sessionrequest/', token => $c->{person}{token},
            json => { mentor_availability => $l->offer_of($key), start_time => $key, session_length => 30 }) },
    xp => sub { my ($l, $c, $key) = @_;
        (PUT => "/api/v1/sessions/$key/", token => $c->{person}{token}, json => \%ended) },
    signup => sub { my ($l, $c, $key) = @_;
        (POST => '/users/signup',
            json => { first_name => 'A', last_name => 'B', email => "$key\@example.com", password => 'good enough' }) },
);

# Reads. `streamed` is a list that is sent while its rows arrive, `index` needs no database: its delay is the machine's.
my %read = (
    session => sub { my ($l, $c) = @_; (GET => "/api/sessions/$l->{session}/", token => $c->{person}{token}) },
    page => sub { my ($l, $c) = @_; (GET => '/api/sessions/?page_size=5', token => $c->{person}{token}) },
    problems => sub { (GET => '/problems/?limit=5') },
    me => sub { my ($l, $c) = @_; (GET => '/users/me', token => $c->{person}{token}) },
    credits => sub { my ($l, $c) = @_; (GET => '/api/credits/me/', token => $c->{person}{token}) },
    streamed => sub { my ($l, $c) = @_; (GET => '/session/', token => $c->{person}{token}) },
    index => sub { (GET => '/') },
);

my @writes = qw(create join problem autosave chat coding leave eco spend booking xp signup autosave);
my @reads = qw(session page problems me credits streamed index);

# ---- the ledger ----

# ledger(nodes => [ports], clients => 16, mix => 'all', pause => 0.02, fresh => 0, switch => 0, others => {}): creates
# the users and objects of the clients. Client $i uses the node $i % nodes; with switch => 1, the next one after a
# request failed. mix is all, reads, writes or a list of kinds, which each client sends in turns; a kind of `others` is
# a function that gets the ledger, the client and a key and returns the request: method, path, and token, json, form or
# headers. pause is the time in seconds between the requests of a client. With fresh => 1 each request opens a
# connection, with fresh => 'half' each one of every other client. With keys => 1 each write has an Idempotency-Key, and
# the client repeats it until it gets a response other than 5xx and "in progress" (409); others are not repeated. users
# is the number of users, if clients share them; such clients cannot join, leave or auto-save. mentors is the number of
# mentors.
sub ledger {
    my (%with) = @_;
    my %mixes = (all => [map { ($writes[$_], $reads[$_ % @reads]) } 0 .. $#writes], reads => \@reads,
        writes => \@writes);
    my $mix = $with{mix} // 'all';
    my $self = bless { nodes => [port()], clients => 16, pause => 0.02, others => {}, %with, stem => unique('ledger'),
        mix => ref $mix ? $mix : $mixes{$mix}, entries => [] }, __PACKAGE__;
    $self->{teacher} = signup(role => 'instructor');
    my @people = map { signup() } 1 .. $self->{users} // $self->{clients};
    my $seats = $self->{clients} / 2;
    my %session = (title => $self->{stem}, %future, max_participants => $seats < 2 ? 2 : $seats > 20 ? 20 : int $seats);
    $self->{session} = api_as($self->{teacher}, POST => '/api/sessions/', json => \%session)->json->{id};
    my %problem = (title => 'T', description => 'D', difficulty => 'easy');
    my $problem = api_as($people[0], POST => '/problems/', json => \%problem)->json->{problem}{id};
    my @own = map { client($self, $_, $people[$_], $problem) } 0 .. $#people;
    $self->{people} = [map { +{ %{ $own[$_ % @own] }, i => $_, turn => 3 * $_ } } 0 .. $self->{clients} - 1];
    $self->create_mentors;
    return $self;
}

# A client: its practice session is for auto-saves and chats; it can spend 200 credits.
sub client {
    my ($self, $i, $person, $problem) = @_;
    my $practice = api_as($person, POST => '/sessions/', json => { problem_id => $problem })->json->{id};
    my $id = user($person->{email})->{id};
    sql(q(INSERT INTO learnhub.coding_sessions (user_id, seconds, source, status)
        SELECT ?, 72000, 'manual', 'unlocked'), $id);
    return { i => $i, n => 0, person => $person, id => $id, practice => $practice, joined => 0, saved => 0,
        offset => 0 };
}

# Mentors who want a mail for each request. A user gets at most 60 such mails an hour, so there are many.
sub create_mentors {
    my ($self) = @_;
    my $count = $self->{mentors} // (long() ? 2000 : 200);
    $self->{offers} = [map { $_->{id} } sql(<<'SQL', "$self->{stem}-mentor-", $count)];
WITH people AS (INSERT INTO learnhub.users (username, email, is_mentor, password_hash)
                SELECT ? || n, gen_random_uuid() || '@example.com', true, '*' FROM generate_series(1, ?) n
                RETURNING id),
     profiles AS (INSERT INTO learnhub.mentor_profiles (user_id, about_me, skills)
                  SELECT id, 'I', '["CSS"]' FROM people),
     settings AS (INSERT INTO learnhub.notification_settings (user_id, session_requested)
                  SELECT id, true FROM people)
INSERT INTO learnhub.availabilities (mentor_id, starts_at, ends_at) SELECT id, '2040-01-01', '2200-01-01' FROM people
RETURNING id
SQL
    return;
}

# The availability for a time: each half hour of the ledger belongs to one mentor.
sub offer_of {
    my ($self, $time) = @_;
    return $self->{offers}[$self->{slots}{$time} % @{ $self->{offers} }];
}

# A new key. Of a booking it is its time, which no other booking of the ledger has.
sub key_of {
    my ($self, $client, $kind) = @_;
    my $n = ++$client->{n};
    return "$self->{stem}-$kind-$client->{i}-$n" if $kind ne 'booking';
    my $slot = $n * $self->{clients} + $client->{i};
    my $key = POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime 2_208_988_800 + 1800 * $slot); # from 2040-01-01
    $self->{slots}{$key} = $slot;
    return $key;
}

# under_load(before => 1, fault => sub {}, after => 2): lets the clients send requests, runs the fault in this process
# after `before` seconds, and stops the load `after` seconds after the fault has returned. Returns a
# LearnHub::Ledger::Run. The fault may call $_[0]->('name'), which stores the time: at('name') of the run. Can be called
# several times.
sub under_load {
    my ($self, %with) = @_;
    my $file = "$top/t/logs/ledger-$$-" . $serial++;
    pipe my $watch, my $stop or croak "pipe: $!";
    my $pid = fork // croak "fork: $!";
    if (!$pid) {
        close $stop;
        my $stored = eval { Storable::nstore($self->send_requests($watch), "$file.new") } || 0;
        print {*STDERR} "ledger: $@" if !$stored;
        rename "$file.new", $file if $stored;
        POSIX::_exit($stored ? 0 : 1);
    }
    close $watch;
    my %at = (start => time);
    Time::HiRes::sleep($with{before} // 1);
    $at{fault} = time;
    my $done = eval { $with{fault}->(sub { $at{ $_[0] } = time }) if $with{fault}; 1 };
    my $error = $@;
    $at{repaired} = time;
    Time::HiRes::sleep($with{after} // 2) if $done;
    $at{end} = time;
    close $stop;
    waitpid $pid, 0;
    croak $error if !$done;
    my $run = -e $file ? Storable::retrieve($file) : croak 'the clients have failed';
    unlink $file;
    $self->{people} = $run->{people};
    $self->{slots} = $run->{slots};
    push @{ $self->{entries} }, @{ $run->{entries} };
    return bless { ledger => $self, entries => $run->{entries}, at => \%at }, 'LearnHub::Ledger::Run';
}

# In a process of its own: the clients' requests until the pipe is closed.
sub send_requests {
    my ($self, $watch) = @_;
    my @entries;
    my $next = sub {
        my ($client) = @_;
        my ($kind, $key) = @{ delete $client->{again} || [] };
        $kind //= $self->{mix}[$client->{turn}++ % @{ $self->{mix} }];
        $key //= $self->key_of($client, $kind);
        my $request = $write{$kind} || $read{$kind} || $self->{others}{$kind} || croak "no kind '$kind'";
        $client->{entry} = { kind => $kind, key => $key, i => $client->{i}, n => $client->{n},
            write => $write{$kind} ? 1 : 0, node => $client->{port} };
        my %header = $self->{keys} && $write{$kind} ? (headers => { 'Idempotency-Key' => qq("$key") }) : ();
        return LearnHub::Sockets::bytes_of($request->($self, $client, $key), %header);
    };
    my $done = sub {
        my ($client, $result) = @_;
        my $entry = delete $client->{entry};
        my $body = delete $result->{body};
        push @entries, { %$entry, %$result };
        note_state($client, $entries[-1], $body);
        my $unanswered = !$result->{status} || $result->{status} >= 500 || in_progress($result);
        $client->{again} = [@$entry{qw(kind key)}] if $self->{keys} && $entry->{write} && $unanswered;
        $self->go_to_node($client, 1) if $self->{switch} && ($result->{status} == 503 || !$result->{status});
    };
    for my $client (@{ $self->{people} }) {
        my $fresh = ($self->{fresh} // 0) eq 'half' ? $client->{i} % 2 : $self->{fresh};
        @$client{qw(pause fresh not_before)} = ($self->{pause}, $fresh, time + rand $self->{pause});
        $self->go_to_node($client, 0);
    }
    my $stopped = sub { vec(my $ready = '', fileno $watch, 1) = 1; return scalar select $ready, undef, undef, 0 };
    LearnHub::Sockets::drive($self->{people}, next => $next, done => $done, stopped => $stopped);
    return { entries => \@entries, people => $self->{people}, slots => $self->{slots} };
}

# Whether the first request with the same Idempotency-Key was still in progress.
sub in_progress { my ($result) = @_; return $result->{status} == 409 && $result->{retry} }

# Connects a client to its node, or to the next one.
sub go_to_node {
    my ($self, $client, $further) = @_;
    $client->{offset} += $further;
    $client->{port} = $self->{nodes}[($client->{i} + $client->{offset}) % @{ $self->{nodes} }];
    delete $client->{socket} if $further;
    return;
}

# What the client knows afterwards: `joined` whether it has joined (undef: unknown), `saved` the last acknowledged
# auto-save, `unknown` those that may have been stored since.
sub note_state {
    my ($client, $entry, $body) = @_;
    my ($kind, $status) = @$entry{qw(kind status)};
    if ($kind eq 'join' || $kind eq 'leave') {
        my $in =
            $status == 200 || $status == 201 ? $kind eq 'join'
            : $status == 400 ? ($body // '') =~ /already joined/
            : undef;
        my $was = $client->{joined};
        $entry->{wrong} = 1 if $status == 400 && defined $was && $was ne ($in ? 1 : 0);
        $client->{joined} = defined $in ? $in ? 1 : 0 : undef;
    }
    elsif ($kind eq 'autosave') {
        @$client{qw(saved unknown)} = ($entry->{n}, []) if $status == 200;
        push @{ $client->{unknown} }, $entry->{n} if $status != 200;
    }
    return;
}

# ---- the comparison ----

# The number of rows of each key.
my %rows_of = (
    create => q(SELECT title AS key, count(*) AS n FROM learnhub.tutoring_sessions WHERE title LIKE ? GROUP BY 1),
    problem => q(SELECT title AS key, count(*) AS n FROM learnhub.problems WHERE title LIKE ? GROUP BY 1),
    chat => q(SELECT m ->> 'content' AS key, count(*) AS n
        FROM learnhub.practice_sessions s, jsonb_array_elements(s.chat_messages) m
        WHERE m ->> 'content' LIKE ? GROUP BY 1),
    coding => q(SELECT session_name AS key, count(*) AS n FROM learnhub.coding_sessions WHERE session_name LIKE ?
        GROUP BY 1),
    eco => q(SELECT description AS key, count(*) AS n FROM learnhub.eco_activities WHERE description LIKE ? GROUP BY 1),
    spend => q(SELECT reason AS key, count(*) AS n FROM learnhub.credit_spendings WHERE reason LIKE ? GROUP BY 1),
    booking => q(SELECT to_char(s.starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS key, count(*) AS n
        FROM learnhub.mentoring_sessions s JOIN learnhub.users u ON u.id = s.mentor_id WHERE u.username LIKE ?
        GROUP BY 1),
    xp => q(SELECT id AS key, count(*) AS n FROM learnhub.xp_sessions WHERE id LIKE ? GROUP BY 1),
    signup => q(SELECT split_part(email, '@', 1) AS key, count(*) AS n FROM learnhub.users WHERE email LIKE ?
        GROUP BY 1),
);

# All requests since ledger() or forget(), and their end.
sub entries { my ($self) = @_; return @{ $self->{entries} } }
sub forget { my ($self) = @_; $self->{entries} = []; return }

# The rows of a query in the tests' database, or in that of the DBI handle `database` of the ledger.
sub rows {
    my ($self, $query, @values) = @_;
    return sql($query, @values) if !$self->{database};
    return @{ $self->{database}->selectall_arrayref($query, { Slice => {} }, @values) };
}

# Compares all responses since ledger() with the database: {lost => [keys], doubled =>, refused =>,
# seats =>, saves =>, mails =>, balances =>}, each a list of what is wrong:
#   lost      acknowledged, but not stored
#   doubled   stored more than once
#   refused   refused, but stored
#   seats     sessions whose counter differs from their participants, and members the clients' answers contradict
#   saves     practice sessions without the last acknowledged auto-save, or a later one whose outcome is unknown
#   mails     bookings without exactly one mail
#   balances  users who spent more credits than they had
sub compare {
    my ($self) = @_;
    my %wrong = map { $_ => [] } qw(lost doubled refused seats saves mails balances);
    for my $kind (sort keys %rows_of) {
        my %count = map { $_->{key} => $_->{n} } $self->rows($rows_of{$kind}, "$self->{stem}-%");
        for my $entry (grep { $_->{kind} eq $kind } @{ $self->{entries} }) {
            my ($key, $status) = @$entry{qw(key status)};
            my $n = $count{$key} // 0;
            push @{ $wrong{lost} }, "$kind $key" if $status =~ /^2/ && !$n;
            push @{ $wrong{doubled} }, "$kind $key" if $n > 1;
            push @{ $wrong{refused} }, "$kind $key" if $status =~ /^4/ && $n && !in_progress($entry);
        }
    }
    push @{ $wrong{refused} }, map {"$_->{kind} of client $_->{i}"} grep { $_->{wrong} } @{ $self->{entries} };
    $wrong{seats} = [$self->wrong_seats];
    $wrong{saves} = [map { $self->wrong_save($_) } @{ $self->{people} }];
    my $mails = q(SELECT s.id, count(o.id) AS n FROM learnhub.mentoring_sessions s
        JOIN learnhub.users u ON u.id = s.mentor_id LEFT JOIN learnhub.outbox o ON o.subject_ref = 'session ' || s.id
        WHERE u.username LIKE ? GROUP BY 1 HAVING count(o.id) <> 1);
    $wrong{mails} = [map {"booking $_->{id}: $_->{n} mails"} $self->rows($mails, "$self->{stem}-%")];
    my $balances = q(SELECT p.id FROM unnest(?::bigint[]) p(id), learnhub.credits_of(p.id) c
        WHERE c.available_credits < 0);
    $wrong{balances} = [map {"user $_->{id}"} $self->rows($balances, [map { $_->{id} } @{ $self->{people} }])];
    return \%wrong;
}

sub wrong_seats {
    my ($self) = @_;
    my @counts = $self->rows(q(SELECT s.id, s.participant_count, count(p.id) AS n FROM learnhub.tutoring_sessions s
        LEFT JOIN learnhub.tutoring_participants p ON p.session_id = s.id WHERE s.title LIKE ? GROUP BY s.id
        HAVING s.participant_count <> count(p.id) OR count(p.id) > s.max_participants), "$self->{stem}%");
    my $members = 'SELECT user_id FROM learnhub.tutoring_participants WHERE session_id = ?';
    my %member = map { $_->{user_id} => 1 } $self->rows($members, $self->{session});
    my @clients = grep { defined $_->{joined} && $_->{joined} != ($member{ $_->{id} } // 0) } @{ $self->{people} };
    return ((map {"session $_->{id}: $_->{participant_count} instead of $_->{n}"} @counts),
        map {"client $_->{i} got $_->{joined}"} @clients);
}

sub wrong_save {
    my ($self, $client) = @_;
    my ($row) = $self->rows(q(SELECT time_spent, diagram_data ->> 'n' AS n FROM learnhub.practice_sessions
        WHERE id = decode(?, 'hex')), $client->{practice});
    my $n = $row ? $row->{n} // 0 : -1;
    return () if $row && $row->{time_spent} == $n && grep { $_ == $n } $client->{saved}, @{ $client->{unknown} || [] };
    return "client $client->{i}: $n instead of $client->{saved}";
}

# consistent($run, 'name', more => figures): prints the figures of a run as one line, and tests that the database agrees
# with the ledger, that responses are 2xx, 4xx or 503, and that every 503 is JSON with Retry-After.
sub consistent {
    my ($run, $name, %more) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $wrong = $run->{ledger}->compare;
    diag($run->line($name, $wrong, %more));
    is_deeply($wrong, { map { $_ => [] } keys %$wrong }, "$name: the database agrees with the responses");
    my @other = grep { $_->{status} && $_->{status} !~ /^(?:20[0-4]|400|503)$/ } $run->entries;
    is_deeply([map {"$_->{kind} $_->{status}"} @other], [], "$name: responses are 2xx, 400 or 503");
    my @bare = grep { $_->{status} == 503 && !($_->{json} && $_->{retry}) } $run->entries;
    return is_deeply([map { $_->{kind} } @bare], [], "$name: every 503 is JSON with Retry-After");
}

package LearnHub::Ledger::Run;

use List::Util qw(max);

# The entries of the requests, as hashes: kind, key, node, and the result as in LearnHub::Sockets. With arguments those
# of these kinds; `reads` and `writes` are all reads that need the database, and all writes.
sub entries {
    my ($self, @kinds) = @_;
    return @{ $self->{entries} } if !@kinds;
    my %kind = map { $_ => 1 } @kinds;
    return grep {
        $kind{ $_->{kind} } || $kind{ $_->{write} ? 'writes' : $_->{kind} eq 'index' ? 'index' : 'reads' }
    } @{ $self->{entries} };
}

# The requests that got 503 or no response.
sub failed { my ($self, @kinds) = @_; return grep { $_->{status} == 503 || !$_->{status} } $self->entries(@kinds) }

# The time of a mark of the fault, or of start, fault, repaired, end.
sub at { my ($self, $mark) = @_; return $self->{at}{$mark} }

# The longest time of a request in seconds.
sub longest { my ($self, @kinds) = @_; return max(0, map { $_->{end} - $_->{start} } $self->entries(@kinds)) }

# What the delays of the machine may add to a time: twice the longest time of a request that needs no database.
sub noise { my ($self) = @_; return max(0.2, 2 * $self->longest('index')) }

# Successful responses per second between two times.
sub rate {
    my ($self, $from, $to) = @_;
    my $count = grep { $_->{status} && $_->{status} < 500 && $_->{end} >= $from && $_->{end} < $to }
        $self->entries(qw(reads writes));
    return $to > $from ? $count / ($to - $from) : 0;
}

# The longest time without a successful response that needs the database, from the beginning of the fault on.
sub outage {
    my ($self) = @_;
    my @ends = sort { $a <=> $b } grep { $_ > $self->at('fault') }
        map { $_->{end} } grep { $_->{status} && $_->{status} < 500 } $self->entries(qw(reads writes));
    my ($longest, $last) = (0, $self->at('fault'));
    for my $end (@ends, $self->at('end')) {
        $longest = $end - $last if $end - $last > $longest;
        $last = $end;
    }
    return $longest;
}

# The seconds between a mark and the end of the last request that failed; 0 if none failed after it.
sub last_failure {
    my ($self, $mark) = @_;
    return max(0, map { $_->{end} - $self->at($mark) } $self->failed);
}

# The figures of a run as one line.
sub line {
    my ($self, $name, $wrong, %more) = @_;
    my @failed = $self->failed;
    my $unknown = grep { $_->{write} } @failed;
    my @parts = (scalar(@{ $self->{entries} }) . ' requests', scalar(@failed) . " failed ($unknown writes)",
        sprintf('longest %.0f ms (without database %.0f)', 1000 * $self->longest(qw(reads writes)),
            1000 * $self->longest('index')),
        sprintf('outage %.0f ms', 1000 * $self->outage),
        sprintf('rate %.0f/s before, %.0f/s after', $self->rate($self->at('start'), $self->at('fault')),
            $self->rate($self->at('repaired'), $self->at('end'))));
    push @parts, map {"$_ $more{$_}"} sort keys %more;
    push @parts, join ' ', map { "$_ " . @{ $wrong->{$_} } } qw(lost doubled refused seats saves mails balances);
    return "$name: " . join ', ', @parts;
}

1;
