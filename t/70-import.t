# SPDX-License-Identifier: Apache-2.0
# conf/import: the data of the five originals in a database of their own, shown by an httpd on it.
use strict;
use warnings;
use utf8;

use File::Path qw(make_path remove_tree);
use LearnHub::Cluster;
use LearnHub::Test;

my $files = "$top/build/import";

# ---- a database of its own ----

sub conninfo {
    my ($user, $database) = @_;
    return $ENV{LEARNHUB_OWNER} =~ s/user=\S+ dbname=\S+/user=$user dbname=$database/r;
}

sub handle {
    my ($user, $database) = @_;
    return DBI->connect('dbi:Pg:' . join(';', split ' ', conninfo($user, $database)), '', '',
        { RaiseError => 1, PrintError => 0, AutoInactiveDestroy => 1, pg_enable_utf8 => 1 });
}

remove_tree($files);
make_path($files);
system('cp', '-r', (glob "$top/t/import/{practice,tutoring,mentoring,coding,xp}"), $files) == 0 or die "cp: $!";
my $admin = handle('postgres', 'postgres');
$admin->do('DROP DATABASE IF EXISTS learnhub_import');
$admin->do('CREATE DATABASE learnhub_import OWNER learnhub_owner');
{
    local @ENV{qw(DATABASE GRANT_TO)} = (conninfo('learnhub_owner', 'learnhub_import'), 'learnhub');
    system("'$top/conf/quickstart/migrate' >'$files/migrate.log' 2>&1") == 0 or die "migrate failed\n";
}
my $owner = handle('learnhub_owner', 'learnhub_import');
my $server = second_httpd('DBDParams "' . conninfo('learnhub', 'learnhub_import') . qq("\n));

sub rows { return $owner->selectall_arrayref(shift, { Slice => {} }, @_) }
sub value { return ($owner->selectrow_array(shift, undef, @_))[0] }

sub get {
    my ($path, $token) = @_;
    my $reply = api(GET => $path, port => $server->port, defined $token ? (token => $token) : ());
    return $reply->status == 200 ? $reply->json : $reply->summary;
}

sub login {
    my ($name, $password) = @_;
    my %form = (username => $name, password => $password);
    my $reply = api(POST => '/users/login', port => $server->port, form => \%form);
    return $reply->status == 200 ? $reply->json->{access_token} : undef;
}

# ---- imports ----

# Writes the files of a folder: name => text.
sub folder {
    my ($name, %texts) = @_;
    make_path("$files/$name");
    for my $file (keys %texts) {
        open my $out, '>:encoding(UTF-8)', "$files/$name/$file" or die "$file: $!";
        print $out $texts{$file};
        close $out or die "$file: $!";
    }
    return "$files/$name";
}

# The environment of an import; `with` adds variables.
sub environment {
    my ($name, %with) = @_;
    return (DATABASE => conninfo('learnhub_owner', 'learnhub_import'), REPORT => "$files/$name.csv", %with);
}

# Runs an import. Returns its exit status, its output and the lines of its report, without the first one.
sub import_of {
    my ($original, $folder, %with) = @_;
    my %environment = environment($folder, %with);
    local @ENV{ keys %environment } = values %environment;
    my $output = `'$top/conf/import/import' $original '$files/$folder' 2>&1`;
    my $status = $? >> 8;
    open my $in, '<:encoding(UTF-8)', "$files/$folder.csv" or return ($status, $output);
    my ($titles, @lines) = <$in>;
    is($titles, "file,line,column,value,result,reason\n", "$folder: the report has titles");
    chomp @lines;
    return ($status, $output, @lines);
}

# Digests of the rows of each table, to compare before and after.
sub counts {
    my @tables = map { $_->{t} } @{ rows(q(SELECT c.oid::regclass::text AS t FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND n.nspname IN ('learnhub', 'learnhub_import')
        AND c.relname NOT IN ('changes', 'changes_pruned', 'list_counts') ORDER BY 1)) };
    my $digest = "md5(coalesce(string_agg(r::text, ',' ORDER BY r::text), ''))";
    return { map { $_ => value("SELECT $digest FROM $_ r") } @tables };
}

# The report of each line: "file:line column result".
sub summary_of {
    return [map { my @f = /^([^,]*),([\d:]+),([^,]*),(?:"(?:[^"]|"")*"|[^,]*),(\w+),/; "$f[0]:$f[1] $f[2] $f[3]" } @_];
}

my $ada = "507f1f77bcf86cd799439011";
my $problem = '507f1f77bcf86cd799439021';
my ($open, $over) = ('507f1f77bcf86cd799439031', '507f1f77bcf86cd799439033');
subtest 'practice: JSON of mongoexport' => sub {
    my ($status, $output, @report) = import_of('practice', 'practice');
    is($status, 1, 'rows were rejected') or diag($output);
    is_deeply(summary_of(@report), [
            'users.json:2 password changed', 'users.json:3 email rejected', 'users.json:4  rejected',
            'users.json:5 id rejected', 'problems.json:4 categories rejected', 'problems.json:4 created_at rejected',
            'problems.json:4 created_by rejected', 'problems.json:4 difficulty rejected',
            'sessions.json:2 status rejected',
            'submissions.json:2 score rejected', 'submissions.json:2 session_id rejected',
    ], 'the report names each line and column') or diag(join "\n", @report);
    like($report[1], qr/^users\.json,3,email,bob\.example\.com,rejected,This must be an e-mail address\.$/,
        'and values');
    unlike("@report", qr/\$2b\$|argon2id\$|abcdefghij/, 'but no hash');
    like($output, qr/users\.json *\| users *\| +5 \| +0 \| +2 \| +0 \| +1 \| +3 \|/, 'the terminal has a summary');

    my $token = login('ada@EXAMPLE.com', 'correct horse');
    ok($token, 'the password of a bcrypt hash works');
    is(login('grace@example.com', 'correct horse'), undef, 'an unknown kind of hash is no password');
    is_deeply(get('/users/me', $token), { id => $ada, first_name => 'Ada', last_name => 'King',
            email => 'Ada@example.com', created_at => '2024-01-15T10:30:00' }, 'the account has its id and time');
    my %problem = %{ get("/problems/$problem") };
    is_deeply([@problem{qw(id title description categories created_by created_at)}],
        [$problem, 'Caches "on top"', "Ünïcode\nand lines", [qw(a b)], 'Ada@example.com', '2024-01-15T10:30:00'],
        'so has the problem');
    my %session = %{ get("/sessions/$open", $token) };
    is_deeply([@session{qw(status time_spent diagram_data chat_messages ended_at last_saved_at)}],
        ['active', 12, { elements => [{ y => 1.5, x => 100, n => 5, s => "a/é\n" }], appState => {} },
            [{ role => 'user', content => 'Hello', timestamp => '2024-01-15T10:35:00.000Z' }], undef,
            '2024-01-15T10:30:00.000Z'], 'the session has its drawing and chat');
    my $same = api(PUT => "/sessions/$open/autosave", port => $server->port, token => $token,
        json => { diagram_data => { a => 1 }, time_spent => 13 });
    is($same->status, 200, 'the open session can be saved');
    is($session{diagram_hash}, '48ebfa003b7c71c109853b45a65fd088', 'the hash is that of the canonical drawing');
    is(get("/sessions/$over", $token)->{ended_at}, '2024-01-15T11:30:00.000Z', 'a submitted session has its end');
    my %submission = %{ get("/submissions/problem/$problem", $token) };
    is_deeply([@submission{qw(score status submitted_at)}, $submission{feedback}],
        [85, 'completed', '2024-01-15T11:30:00',
            { strengths => ['Caching'], improvements => [], missing_components => [] }],
        'the submission is shown');
};

subtest 'drawings that are nested deeply, and null instead of objects' => sub {
    my ($serial, @ids) = 1e15;
    my $row = sub {
        push @ids, sprintf '%024x', $serial++;
        return qq({"_id":{"\$oid":"$ids[-1]"},"user_id":"ada\@example.com","problem_id":"$problem",$_[0]}\n);
    };
    my $nested = sub { my ($levels, $in) = @_; '{"a":[' x ($levels / 2) . $in . ']}' x ($levels / 2) };
    my $text = '"' . '[' x 300 . '"';
    my @drawings = ($nested->(200, 1), $nested->(200, '{}'), $nested->(100_000, 1), $nested->(2, $text));
    my @feedback = (qw(null "good" []), '{"strengths":null}', '{"strengths":["a"],"improvements":null}',
        '{"strengths":{}}', '{}');
    folder('nested',
        'sessions.jsonl' => join('', map { $row->(qq("status":"abandoned","diagram_data":$_)) } @drawings, 'null'),
        'submissions.jsonl' => join('', map { $row->(qq("feedback":$_,"diagram_data":null)) } @feedback));
    my ($status, $output, @report) = import_of('practice', 'nested');
    is($status, 1, 'rows were rejected') or diag($output);
    is_deeply(summary_of(@report), ['sessions.jsonl:2 diagram_data rejected', 'sessions.jsonl:3  rejected',
            'submissions.jsonl:6 strengths rejected'], 'no others') or diag(join "\n", @report);
    like($report[0], qr/,"This must be an object, nested in at most 200 levels\."$/, 'with the limit');
    my $token = login('ada@example.com', 'correct horse');
    my @shown = map { get("/sessions/$_", $token) } @ids[0 .. 4];
    my $json = JSON::XS->new->canonical;
    is_deeply([map { ref ? $json->encode($_->{diagram_data}) : $_ } @shown],
        [$drawings[0], @shown[1, 2], $drawings[3], '{}'], 'the others are shown');
    like($_, qr/ 404 /, 'and these are not') for @shown[1, 2];
    my %save = map { $_ => api(PUT => "/sessions/$open/autosave", port => $server->port, token => $token,
            body => qq({"time_spent":14,"diagram_data":$drawings[$_]}))->status } 0, 1;
    is_deeply(\%save, { 0 => 200, 1 => 422 }, 'the limit is that of auto-saves');
    is_deeply([map { $_->{n} } @{ rows('SELECT jsonb_array_length(strengths) AS n FROM learnhub.submissions
            WHERE encode(id, \'hex\') = ANY (?) ORDER BY id', [@ids[5 .. 11]]) }], [0, 0, 0, 0, 1, 0],
        'feedback that is null is none');

    my @categories = ('null', '{"name":null,"color":"#112233"}', '{}', '{"name":"Art"}', '"Art"');
    my @rates = ('null', '{"logic":null}', '1');
    my $number = 0;
    my $object = sub { my ($members) = @_; $number++; return qq({"id":"null$number","user_id":"null",$members}\n) };
    folder('null',
        'users.jsonl' => qq({"id":"null","email":"ada\@example.com"}\n),
        'goals.jsonl' => join('', map { $object->(qq("title":"Goal of null","category":$_)) } @categories),
        'activities.jsonl' => join('', map { $object->(qq("name":"Null $_","rates":$rates[$_])) } 0 .. 2));
    ($status, $output, @report) = import_of('xp', 'null');
    is($status, 0, 'a category and rates that are null are none') or diag($output);
    is_deeply(rows(q(SELECT category_name AS c FROM learnhub.goals WHERE title = 'Goal of null' ORDER BY 1)),
        [(map { { c => 'Art' } } 1, 2), map { { c => 'General' } } 1 .. 3], 'the goals have the default');
    is(value(q(SELECT count(*) FROM learnhub.activities WHERE name LIKE 'Null%' AND rates IS NULL)), 3,
        'so have the activities');
};

subtest 'tutoring: CSV, and accounts that exist' => sub {
    my ($status, $output, @report) = import_of('tutoring', 'tutoring');
    is($status, 1, 'rows were rejected') or diag($output);
    is_deeply(summary_of(@report), [
            'users.csv:3 email merged', 'users.csv:4 username changed', 'users.csv:5 email rejected',
            'users.csv:6 password changed', 'users.csv:6 role changed', 'users.csv:7  rejected',
            'users.csv:8 email merged',
            'sessions.csv:4 max_participants rejected', 'sessions.csv:5 created_at rejected',
            'sessions.csv:5 creator rejected', 'sessions.csv:5 date rejected', 'sessions.csv:5 status rejected',
            'participants.csv:4 session rejected', 'participants.csv:5 user rejected',
            'participants.csv:7 session rejected',
    ], 'the report has the lines of the file, also after a value of two lines') or diag(join "\n", @report);

    my $token = login('gina', 'a good password');
    ok($token, 'the password of a PBKDF2 hash works');
    ok(login('gina2@example.com', 'correct horse'), 'so does one of bcrypt that Django named, with the e-mail address');
    my %session = %{ get('/api/sessions/17/', $token) };
    is_deeply([@session{qw(title description date max_participants status created_at updated_at is_full)}],
        ['Hooks', qq(All, of "them"\ntwice), '2030-01-20T16:00:00Z', 2, 'upcoming', '2024-01-05T09:00:00Z',
            '2024-01-06T09:00:00Z', true], 'a session keeps its id');
    is_deeply([map {"$_->{user}{email} $_->{joined_at} $_->{role}"} @{ $session{participants} }],
        ['Ada@example.com 2024-01-10T10:00:00Z student', 'gina2@example.com 2024-01-10T11:00:00Z student'],
        'it has its participants');

    my $account = get('/api/auth/user/', login('ada@example.com', 'correct horse'));
    is_deeply([@$account{qw(username first_name role)}], [qw(Ada@example.com Ada instructor)],
        'the account that existed keeps its password and names, and becomes an instructor');
    ok(login('grace@example.com', 'a good password'), 'an account without a password gets one of a confirmed address');
    mkdir "$files/unconfirmed" or die "$files/unconfirmed: $!";
    open my $users, '>', "$files/unconfirmed/users.csv" or die "users.csv: $!";
    print {$users} "id,email,password\n1,Pat\@example.com,", 'pbkdf2_sha256$1000$seasalt$'
        . 'XUobzHJf5PPmlTiiCvaDZihoQDlKr7Z6c+v/9lHasmc=', "\n";
    close $users or die "users.csv: $!";
    my (undef, undef, @merged) = import_of('xp', 'unconfirmed');
    is_deeply(summary_of(@merged), ['users.csv:2 email merged'], 'an account is merged');
    is(value(q(SELECT password_hash FROM learnhub.users WHERE email = 'pat@example.com')), '!',
        'and gets no password of an address that is not confirmed');
    my $new = api(POST => '/users/signup', port => $server->port, json => { first_name => 'N', last_name => 'N',
            email => 'new@example.com', password => 'a good password' });
    is($new->status, 201, 'later accounts get ids behind those that were imported');
};

subtest 'mentoring: a dump of several models' => sub {
    my ($status, $output, @report) = import_of('mentoring', 'mentoring');
    is($status, 1, 'rows were rejected') or diag($output);
    is_deeply(summary_of(@report), [map {"dumpdata.json:$_"} '1 is_superuser changed', '1 phone_number changed',
            '2 email merged', '8 start_time rejected', '12 start_time rejected', '14 session_length rejected'],
        'the report has the lines of the dump') or diag(join "\n", @report);
    my $token = login('mona', 'a good password');
    my ($mentor) = @{ get('/mentor/', $token) };
    is_deeply($mentor->{mentor_profile}{skills}, [qw(HTML CSS)], 'the mentor is in the directory');
    is_deeply([map { @$_{qw(pk start_time)} } @{ $mentor->{availabilities} }], [8, '2030-01-01T10:00:00Z'],
        'with the availability');
    my @sessions = @{ get('/session/', $token) };
    is_deeply([map {"$_->{pk} $_->{status} $_->{mentor_availability} $_->{session_length}"} @sessions],
        ['21 Confirmed 8 60', '23 Canceled 8 60'], 'sessions keep their ids');
    is_deeply([map { $_->{pk} } @{ get('/archivesession/', $token) }], [25],
        'so do those of a past availability that overlaps another');
    is(get('/notificationsettings/', $token)->{session_requested}, true, 'the settings are there');
    is(get('/myprofile/', login('ada@example.com', 'correct horse'))->{phone_number}, '+19195559999',
        'an account that existed gets the phone number that it had not');
};

subtest 'coding' => sub {
    my ($status, $output, @report) = import_of('coding', 'coding');
    is($status, 1, 'rows were rejected') or diag($output);
    is_deeply(summary_of(@report),
        [map {"dumpdata.json:$_"} '4 status changed', '6 duration rejected', '10 cost rejected'],
        'the report has the lines') or diag(join "\n", @report);
    my $token = login('coder', 'a good password');
    is_deeply([map {"$_->{id} $_->{duration} $_->{status} $_->{credits_awarded}"}
                @{ get('/api/codingsessions/me/', $token)->{data} }],
        ['41 01:30:00 unlocked 15', '42 10:00:00 unlocked 100', '44 01:00:00 locked 10'], 'the sessions are there');
    is(get('/api/codingsessions/me/', $token)->{data}[0]{created_at}, '2025-09-07T17:10:29.123449Z',
        'with their times');
    is_deeply(get('/api/credits/me/', $token)->{data}, { available_credits => 95, locked_credits => 10,
            spent_credits => 20, points_to_unlock => 0 },
        'so are the credits: points that were missing have been added');
    my ($redeemed) = @{ get('/api/rewards/redemptions/', $token) };
    is_deeply([@$redeemed{qw(id reward reward_name cost date)}], [61, 51, 'Tree', 20, '2025-09-08T00:00:00Z'],
        'and the redemption');
    is(get('/api/profiles/me/', $token)->{data}{github_username}, 'coder-1', 'and the profile');
};

my ($xen, $ice, $goal) = map {"6ba7b810-9dad-11d1-80b4-00c04fd4300$_"} 1, 3, 4;
subtest 'xp' => sub {
    my ($status, $output, @report) = import_of('xp', 'xp');
    is($status, 1, 'rows were rejected') or diag($output);
    is_deeply(summary_of(@report), ['activities.json:1 name merged', 'goals.json:2 days_total rejected',
            'sessions.csv:3 id rejected', 'sessions.csv:4 ended_at rejected'], 'the report has the lines')
        or diag(join "\n", @report);
    my $token = login('xen', 'a good password');
    is(get('/api/v1/auth/me/', $token)->{id}, $xen, 'the account keeps its UUID');
    my %shown = %{ get("/api/v1/goals/$goal/", $token) };
    is_deeply([@shown{qw(title category days_total days_completed created_at)}], ['Thirty days',
            { name => 'Drawing', color => '#abcdef' }, 30, 1, '2025-01-01T00:00:00Z'], 'so does the goal');
    my $activity = get("/api/v1/activities/$ice/", $token);
    is_deeply([@$activity{qw(name category color)}], ['Sculpting ice', 'Drawing', '#112233'],
        'an activity gets the category of its file');
    my ($session) = @{ get("/api/v1/goals/$goal/sessions/", $token)->{results} };
    is_deeply([@$session{qw(id xp_total completed_reason)}, $session->{activity}{id}],
        ['convex1', 28000, 'manual', $ice], 'the session is in the history');
    is(get('/api/v1/users/me/xp/', $token)->{xp_total}, 28000, 'its points count');
    is(get('/api/v1/sessions/convex4/', $token)->{status}, 'active', 'a session that goes on is there');
};

# ---- all of them ----

sub none { my ($statement, $name) = @_; return is_deeply(rows($statement), [], $name) }

subtest 'what the database keeps' => sub {
    none('SELECT * FROM learnhub.outbox', 'no mail is queued');
    none('SELECT * FROM learnhub.mail_requests', 'none is counted');
    none('SELECT * FROM learnhub.tutoring_sessions s WHERE participant_count <> (SELECT count(*)
        FROM learnhub.tutoring_participants p WHERE p.session_id = s.id)', 'the numbers of participants');
    my $count = 'SELECT list, key, day, sum(rows) AS rows FROM learnhub.list_counts GROUP BY 1, 2, 3 ORDER BY 1, 2, 3';
    my $kept = rows($count);
    $owner->do('SELECT learnhub.recount_lists()');
    is_deeply($kept, rows($count), 'the numbers of the lists');
    none(q(SELECT * FROM learnhub.coding_profiles p WHERE unlocked_credits <> (SELECT coalesce(sum(credits_awarded), 0)
        FROM learnhub.coding_sessions s WHERE s.user_id = p.user_id AND s.status = 'unlocked')),
        'the unlocked credits');
    none('SELECT u.id FROM learnhub.users u, learnhub.credits_of(u.id) c
        WHERE c.point_parts < 0 OR c.available_credits < 0', 'no balance is negative');
    none(q(SELECT * FROM learnhub.mentoring_sessions s WHERE (SELECT count(*) FROM learnhub.mentoring_hours h
        WHERE h.session_id = s.id AND h.user_id IN (s.mentor_id, s.mentee_id)
        AND h.during = tstzrange(s.starts_at, s.ends_at)) <> CASE status WHEN 'Canceled' THEN 0 ELSE 2 END),
        'the hours of sessions');
    none('SELECT * FROM learnhub.users u WHERE (SELECT count(*) FROM learnhub.login_names n WHERE n.user_id = u.id
        AND n.name IN (lower(u.email), lower(u.username)))
        <> CASE WHEN lower(u.email) = lower(u.username) THEN 1 ELSE 2 END',
        'the login names');
    none(q(SELECT tgname FROM pg_trigger WHERE tgenabled <> 'O'), 'every trigger is enabled');
    is(value(q(SELECT has_schema_privilege('learnhub', 'learnhub_import', 'USAGE'))), 0, 'httpd cannot read the ids');
};

subtest 'a second import' => sub {
    my $before = counts();
    for my $original (qw(practice tutoring mentoring coding xp)) {
        my ($status, $output, @report) = import_of($original, $original);
        is($status, 1, "$original: the same rows are rejected") or diag($output);
        none('SELECT * FROM learnhub.outbox', 'no mail is queued');
    }
    is_deeply(counts(), $before, 'it changes nothing');
    folder('tutoring', 'participants.csv' => "id,session_id,user_id\n9,20,3\n", 'users.csv' =>
            "id,email\n1,gina\@example.com\n");
    my ($status, $output) = import_of('tutoring', 'tutoring');
    is(value('SELECT participant_count FROM learnhub.tutoring_sessions WHERE id = 20'), 2, 'a further row is added');
    my $gina = login('gina2@example.com', 'correct horse');
    my $deleted = api(DELETE => '/auth/users/me/', port => $server->port, token => $gina,
        json => { current_password => 'correct horse' });
    is($deleted->status, 204, 'an account is deleted');
    ok(eventually(sub { !value('SELECT count(*) FROM learnhub.erasures') }), 'and a job has deleted what it left');
    folder('tutoring', 'participants.csv' => "id,session_id,user_id\n9,20,3\n10,20,3\n", 'users.csv' =>
            "id,email\n3,gina2\@example.com\n");
    my @report;
    ($status, $output, @report) = import_of('tutoring', 'tutoring');
    is(value(q(SELECT count(*) FROM learnhub.users WHERE email = 'gina2@example.com')), 0, 'it does not come back');
    is_deeply([grep {/^participants/} @report], ['participants.csv,3,user,3,rejected,The account has been deleted.'],
        'its rows are rejected')
        or diag(join "\n", @report);
};

subtest 'CHECK=1' => sub {
    folder('check', 'users.jsonl' => qq({"id":1,"email":"check\@example.com"}\n), 'problems.json' =>
            qq([{"id":1,"title":"T","description":"D","difficulty":"easy","created_by":1,"hints":["a"]},)
            . qq({"id":2,"title":"T","description":"D","difficulty":"easy","created_by":"x"}]\n));
    my $before = counts();
    my ($status, $output, @report) = import_of('practice', 'check', CHECK => 1);
    is($status, 1, 'rows would be rejected') or diag($output);
    is_deeply(summary_of(@report), ['users.jsonl:1 password changed', 'problems.json:1:2 created_by rejected'],
        'they are reported');
    is_deeply(counts(), $before, 'nothing was written');
};

subtest 'an import that is killed' => sub {
    folder('killed', 'users.csv' => "id,email\n" . join('', map {"1$_,killed$_\@example.com\n"} 1 .. 30),
        'sessions.csv' => "id,title,date,max_participants,creator\n"
            . join('', map {"9$_,Title $_,2030-01-01T10:00:00Z,5,1$_\n"} 1 .. 30));
    my $blocker = handle('learnhub_owner', 'learnhub_import');
    $blocker->begin_work;
    $blocker->do('LOCK TABLE learnhub.tutoring_sessions IN EXCLUSIVE MODE');
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        setpgrp;
        my %environment = environment('killed');
        @ENV{ keys %environment } = values %environment;
        open STDOUT, '>', "$files/killed.log" or POSIX::_exit(1);
        open STDERR, '>&', \*STDOUT or POSIX::_exit(1);
        exec "$top/conf/import/import", 'tutoring', "$files/killed" or POSIX::_exit(1);
    }
    my $waiting = q(SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'learnhub.tutoring_sessions'::regclass);
    ok(eventually(sub { value($waiting) }, 60), 'it waits for a lock');
    my $backend = value($waiting);
    kill KILL => -$pid;
    waitpid $pid, 0;
    ok(eventually(sub { !value('SELECT 1 FROM pg_stat_activity WHERE pid = ?', $backend) }, 30), 'its session ends');
    $blocker->rollback;
    my $number = sub { return value("SELECT count(*) FROM learnhub.tutoring_sessions WHERE title LIKE 'Title %'") };
    is(value("SELECT count(*) FROM learnhub.users WHERE email LIKE 'killed%'"), 30, 'the first file was written');
    is($number->(), 0, 'the second was not');
    my ($status, $output) = import_of('tutoring', 'killed');
    is($status, 0, 'it can be repeated') or diag($output);
    is($number->(), 30, 'and writes the rest');
    like($output, qr/users\.csv *\| users *\| +30 \| +30 \| +0 \|/, 'the rows of the first file were known');
};

subtest 'errors' => sub {
    folder('wrong', 'uzers.csv' => "id\n");
    like((import_of('tutoring', 'wrong'))[1], qr/uzers\.csv is no file of tutoring\. Files: users\.csv/,
        'an unknown file');
    is((import_of('tutoring', 'wrong'))[0], 2, 'is 2');
    is((import_of('other', 'tutoring'))[0], 2, 'so is an unknown original');
    is_deeply([(import_of('tutoring', 'absent'))[0, 1]], [2, "learnhub: $files/absent is no folder.\n"],
        'so is a folder that does not exist');
    my @arguments = ("'$top/conf/learnhub-ctl' -d '@{[conninfo('learnhub_owner', 'learnhub_import')]}' import", '2>&1');
    is(`$arguments[0] tutoring absent $arguments[1]`, "learnhub: absent is no folder.\n", 'also with learnhub-ctl');
    like(`$arguments[0] other absent $arguments[1]`, qr/^learnhub: Usage: learnhub-ctl import practice\|/, 'its usage');
    folder('header', 'users.csv' => "1,ada\@example.com\n");
    my ($status, $output) = import_of('tutoring', 'header');
    is($status, 2, 'so is a file without names of columns');
    like($output, qr/column 2 has no name/, 'it is named') or diag($output);
    ($status, $output) = import_of('tutoring', 'killed', DATABASE => conninfo('learnhub', 'learnhub_import'));
    is($status, 2, 'so is a role that does not own the schema');
    like($output, qr/does not own the schema/, 'it is named');
};

# psql is a script that writes the command lines of all processes, and the password, before it becomes psql.
subtest 'a password in a URI' => sub {
    my ($host, $port) = $ENV{LEARNHUB_OWNER} =~ /host=@(\S+) port=(\d+)/;
    my $uri = "postgresql://learnhub_owner:kiwi?%40plum%25@/learnhub_import?host=%40$host&port=$port";
    my $script = folder('psql', psql => <<"END") . '/psql';
#!/bin/sh
cat /proc/[0-9]*/cmdline | tr '\\0' ' ' >'$files/processes'
echo "\$PGPASSWORD" >'$files/password'
exec $LearnHub::Cluster::bin/psql "\$@"
END
    chmod 0755, $script;
    my $content = sub { open my $in, '<', "$files/$_[0]" or return ''; local $/; return scalar <$in> };
    my @import = (tutoring => 'killed', PSQL => $script);
    my ($status, $output) = import_of(@import, DATABASE => $uri);
    is($status, 0, 'rows are imported') or diag($output);
    is($content->('password'), "kiwi?\@plum%\n", 'psql gets the password in its environment');
    like($content->('processes'), qr/psql -X -d postgresql:.*learnhub_import/, 'the processes have its arguments');
    unlike($content->('processes'), qr/kiwi|plum/, 'but no password');
    ($status, $output) = import_of(@import, DATABASE => $uri =~ s/%40plum/\@plum/r);
    is($status, 2, 'a URI that libpq reads in another way fails');
    like($output, qr/^learnhub: the URI is not valid: in a password, @ /m, 'with a sentence');
    unlike($output . $content->('processes'), qr/kiwi|plum/, 'and without the password');
};

subtest 'conf/import/README.md' => sub {
    open my $in, '<:encoding(UTF-8)', "$top/conf/import/README.md" or die "README.md: $!";
    my $text = do { local $/; <$in> };
    my %section = map { /^([\w ]+)\n/ ? ($1 => $_) : () } split /^## /m, $text;
    for my $original (qw(accounts practice tutoring mentoring coding xp)) {
        open my $sql, '<:encoding(UTF-8)', "$top/conf/import/$original.sql" or die "$original.sql: $!";
        my @columns = do { local $/; <$sql> } =~ /^    \('(\w+)', '(\w+)', '[\w ]+', (?:true|false)/mg;
        cmp_ok(@columns / 2, '>', 10, "$original has columns");
        my @missing;
        while (my ($kind, $name) = splice @columns, 0, 2) {
            my $row = qr/^\| `$kind` \|(?:.*\n\| \|)*? `$name` /m;
            push @missing, "$kind.$name" if ($section{ ucfirst $original } // '') !~ $row;
        }
        is_deeply(\@missing, [], "$original: the document has all of them");
    }
};

$server->stop;
$owner->disconnect;
$admin->do('DROP DATABASE learnhub_import WITH (FORCE)');
$admin->disconnect;
done_testing();
