# SPDX-License-Identifier: Apache-2.0
# Activities with pictures, coding profiles and the leaderboard: every key, error and limit, and concurrent requests.
use strict;
use warnings;
use utf8;

use Encode qw(encode_utf8);
use LearnHub::Coding;
use LearnHub::Test;
use LearnHub::Users;
use POSIX qw(strftime);

my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z$/;
my $base = 'http://127.0.0.1:' . port();
my $gif = "GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;";
my $png = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89"
    . "\0\0\0\6IDAT\r\n--\0\xffcrc!\0\0\0\0IEND\xae\x42\x60\x82";

my $user = signup();
my $other = signup();
my $admin = signup(role => 'admin');

sub file { my ($content) = @_; return [undef, 'a photo.png', 'Content-Type' => 'image/png', Content => $content] }
sub path_of { my ($url) = @_; return ($url // '') =~ s{^http://[^/]+}{}r }

sub post { my ($owner, %fields) = @_; return api_as($owner, POST => '/api/activities/', json => \%fields) }
sub send_form { my ($owner, @fields) = @_; return api_as($owner, POST => '/api/activities/', multipart => \@fields) }
sub profile { my ($owner) = @_; return data(api_as($owner, GET => '/api/profiles/me/')) }
sub change { my ($owner, %fields) = @_; return api_as($owner, PATCH => '/api/profiles/me/', json => \%fields) }
sub leaders { return data(api(GET => '/api/leaderboard/friends/'))->{leaderboard} }

# ---- activities ----

my %activity = (activity => 'hiking', duration => '2:00:00');
my $hike;

subtest 'A user records an activity as the front end does' => sub {
    $hike = data(send_form($user, activity => 'hiking', duration => '2:00:00', location => encode_utf8(' Töp Trail '),
            description => encode_utf8("To the töp\n"), activity_date => '2024-05-06',
            verification_proof => file($gif), status => 'VERIFIED', points => 1000), 201);
    is_deeply(keys_of($hike), [qw(activity activity_date created_at description duration id location points status user
                verification_proof)], 'keys of an activity');
    is_deeply([@$hike{qw(user activity duration location description activity_date status points)}],
        [user_id($user), 'hiking', '02:00:00', 'Töp Trail', "To the töp\n", '2024-05-06', 'PENDING', 24],
        'the fields sent are stored, the location is trimmed; status and points cannot be set');
    like($hike->{created_at}, $time, 'created_at is a UTC time');
    like($hike->{verification_proof}, qr{^\Q$base\E/api/activities/photos/[0-9a-f]{64}\.gif$},
        'the picture has an unguessable URL of this server');
    my $photo = api(GET => path_of($hike->{verification_proof}));
    is_deeply([$photo->status, $photo->header('Content-Type'), $photo->header('X-Content-Type-Options')],
        [200, 'image/gif', 'nosniff'], 'the picture is served without a token, its type comes from the content');
    ok($photo->body eq $gif, 'the picture is served byte for byte');
    is_deeply(data(api_as($user, GET => "/api/activities/$hike->{id}/")), $hike, 'GET returns the activity');
};

subtest 'Optional fields of an activity' => sub {
    my $short = data(post($user, %activity), 201);
    my ($today) = sql("SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day
        FROM learnhub.eco_activities WHERE id = ?", $short->{id});
    is_deeply([@$short{qw(location description activity_date verification_proof)}], ['', '', $today->{day}, undef],
        'by JSON only activity and duration are needed; the date is today');
    my %null = map { $_ => undef } qw(location description activity_date verification_proof);
    my %empty = map { $_ => '' } qw(location description activity_date);
    for my $reply (post($user, %activity, %null), send_form($user, %activity, %empty)) {
        is_deeply([@{ data($reply, 201) }{qw(location description activity_date verification_proof)}],
            ['', '', $today->{day}, undef], 'null, and an empty field of a form, mean the same as an absent field');
    }
    is(data(post($user, %activity, activity_date => '2024-05-06T23:30:00-02:00'), 201)->{activity_date}, '2024-05-07',
        'activity_date accepts a time; the response has its UTC day');
    is(data(api_as($user, GET => "/api/ecoactivities/$hike->{id}"))->{performed_at}, '2024-05-06T00:00:00Z',
        'performed_at is the start of the UTC day');
    my %day = map { $_ => strftime('%Y-%m-%d', gmtime(time + $_ * 86_400)) } 0, 1, 3;
    is(data(post($user, %activity, activity_date => $day{0}), 201)->{activity_date}, $day{0}, 'the date may be today');
    my $early = data(post($user, %activity, activity_date => $day{1}), 201);
    my ($stored) = sql("SELECT performed_at = least(created_at, ?::timestamp AT TIME ZONE 'UTC') AS now
        FROM learnhub.eco_activities WHERE id = ?", $day{1}, $early->{id});
    ok($stored->{now}, 'the date may be tomorrow, which is today in other time zones: performed_at is now');
    my $late = post($user, %activity, activity_date => $day{3});
    is_invalid($late, 'envelope', ['activity_date'], 'a later date is rejected');
    like($late->json->{data}{activity_date}[0], qr/tomorrow/, 'the sentence says which dates are allowed');
    my %kind = (HIKING => 'hiking', ' Gardening ' => 'gardening', family_meetup => 'other', Other => 'other');
    is(data(post($user, %activity, activity => $_), 201)->{activity}, $kind{$_}, "'$_' is recorded as $kind{$_}")
        for sort keys %kind;
    is(data(post($user, %activity, duration => $_), 201)->{duration}, '09:30:00', "the duration may be $_")

        for '9:30:00', '09:30:00';
    is(length data(post($user, %activity, location => 'x' x 250, description => 'y' x 2000), 201)->{location}, 250,
        'location has up to 250 characters, description up to 2000');
};

subtest 'Every field of an activity is validated' => sub {
    for my $case ([activity => ''], [activity => 'x' x 251], [duration => '0:00:00'], [duration => '24:00:01'],
        [duration => '2:00'], [duration => '1:60:00'], [duration => ''], [location => 'x' x 251], [location => "a\nb"],
        [description => 'x' x 2001], [activity_date => '2040-01-01'], [activity_date => 'today'],
        [verification_proof => 'https://example.com/a.png']) {
        my ($field, $value) = @$case;
        is_invalid(post($user, %activity, $field => $value), 'envelope', [$field], "JSON rejects an invalid $field");
        my %form = (%activity, $field => $value);
        is_invalid(send_form($user, %form), 'envelope', [$field], "multipart rejects an invalid $field");
    }
    is_invalid(post($user, %activity, $_ => 5), 'envelope', [$_], "a number is no $_")
        for qw(activity duration location description activity_date verification_proof);
    is_invalid(send_form($user, %activity, verification_proof => file('<svg/>')), 'envelope', ['verification_proof'],
        'a file that is no picture is rejected');
    is_invalid(post($user, location => 5), 'envelope', [qw(activity duration location)],
        'all invalid fields are reported at once');
    my $small = second_httpd("LearnHubMaxPhoto 3000\n");
    my @status = map { api_as($user, POST => '/api/activities/', port => $small->port,
            multipart => [%activity, verification_proof => file($gif . 'x' x ($_ - length $gif))])->status } 3000, 3001;
    is_deeply(\@status, [201, 413], 'LearnHubMaxPhoto limits the picture');
};

subtest 'Activities are private, and the same as eco-activities' => sub {
    my $list = data(api_as($user, GET => '/api/activities/'));
    is_deeply([map { $_->{id} } @$list], [sort { $b <=> $a } map { $_->{id} } @$list], 'the list is newest first');
    is_deeply($list->[-1], $hike, 'an entry of the list has the keys of an activity');
    is_deeply(data(api_as($user, GET => '/api/activities/?page=2&page_size=3')), [@$list[3 .. 5]], 'pages of the list');
    is_deeply(data(api_as($_, GET => '/api/activities/')), [], "other users' activities are not listed")
        for $other, $admin;
    is_error(api_as($_, GET => "/api/activities/$hike->{id}"), 'envelope', 404, "another user's activity is not found")
        for $other, $admin;
    is_error(api_as($user, GET => "/api/activities/$_"), 'envelope', 404, "there is no activity $_")

        for 999999999, 'x', '-1';
    is_error(api(GET => "/api/activities/photos/$_"), 'envelope', 404, "there is no picture $_")
        for '0' x 64 . '.gif', 'x';
    my $eco = data(api_as($admin, GET => "/api/ecoactivities/$hike->{id}/"));
    is_deeply([@$eco{qw(id kind location verification_proof status)}],
        [@$hike{qw(id activity location verification_proof)}, 'pending'],
        'an admin finds the activity and its picture among the eco-activities');
    is(data(api_as($admin, POST => "/api/ecoactivities/$hike->{id}/verify/"))->{verification_proof},
        $hike->{verification_proof}, 'an admin verifies the activity');
    my $next = data(post($user, %activity), 201);
    data(api_as($admin, POST => "/api/ecoactivities/$next->{id}/reject/"));
    is(data(api_as($user, GET => "/api/activities/$_->[0]"))->{status}, $_->[1], "the activity is $_->[1]")
        for [$hike->{id}, 'VERIFIED'], [$next->{id}, 'REJECTED'];
};

# Records pending activities with pictures of `size` (1) bytes in the database; returns the ids of the activities.
sub with_pictures {
    my ($owner, $count, $size) = @_;
    return map { $_->{activity_id} } sql("WITH activity AS (
            INSERT INTO learnhub.eco_activities (user_id, kind, seconds, description, point_parts)
            SELECT ?, 'hiking', 3600, '', 0 FROM generate_series(1, ?::int) RETURNING id, user_id)
        INSERT INTO learnhub.activity_photos (activity_id, user_id, name, media_type, content)
        SELECT id, user_id, learnhub.photo_name('image/gif'), 'image/gif',
            convert_to(repeat('x', ?), 'UTF8') FROM activity RETURNING activity_id",
        user_id($owner), $count, $size // 1);
}

subtest 'A user has at most 100 pictures' => sub {
    my $collector = signup();
    my @ids = with_pictures($collector, 95);
    my @replies = parallel(20, sub { send_form($collector, %activity, verification_proof => file($gif)) });
    is_deeply([sort map { $_->{status} } @replies], [(201) x 5, (400) x 15],
        'of 20 concurrent pictures after 95 five are accepted');
    is_deeply([map { rows($_, $collector) } qw(activity_photos eco_activities)], [100, 100],
        'a rejected picture stores no activity');
    is_invalid(send_form($collector, %activity, verification_proof => file($gif)), 'envelope', ['verification_proof'],
        'with 100 pending activities a further picture is rejected');
    data(send_form($collector, %activity), 201);
    my ($oldest) = sort { $a <=> $b } @ids;
    my $url = data(api_as($collector, GET => "/api/activities/$oldest"))->{verification_proof};
    is(api(GET => path_of($url))->status, 200, 'the oldest picture is there');
    data(api_as($admin, POST => "/api/ecoactivities/$ids[-1]/reject/"));
    data(api_as($admin, POST => "/api/ecoactivities/$oldest/verify/"));
    my $newest = data(send_form($collector, %activity, verification_proof => file($png)), 201);
    like($newest->{verification_proof}, qr/\.png$/, 'after a verification a picture is accepted');
    is(data(api_as($collector, GET => "/api/activities/$oldest"))->{verification_proof}, undef,
        'it replaces the picture of the oldest activity that is not pending');
    is_error(api(GET => path_of($url)), 'envelope', 404, 'the replaced picture is not found');
    is(rows(activity_photos => $collector), 100, 'the user has 100 pictures');
};

subtest 'A user has at most 100 MiB of pictures' => sub {
    my $collector = signup();
    my $left = sub { [map { $_->{activity_id} } sql('SELECT activity_id FROM learnhub.activity_photos
        WHERE user_id = ? ORDER BY activity_id', user_id($collector))] };
    my $send = sub { send_form($collector, %activity, verification_proof => file($gif)) };
    my @ids = map { with_pictures($collector, 1, $_ * 1_048_576) } 20, 30, 20, 30;
    data(api_as($admin, POST => "/api/ecoactivities/$ids[1]/verify/"));
    data(api_as($admin, POST => "/api/ecoactivities/$ids[2]/reject/"));
    my $first = data($send->(), 201)->{id};
    is_deeply($left->(), [@ids[0, 2, 3], $first],
        'a further picture replaces that of the oldest activity that is not pending, and no more');
    my ($large) = with_pictures($collector, 1, 50 * 1_048_576 - length $gif);
    is_deeply($left->(), [@ids[0, 3], $first, $large], 'the pictures may have exactly 100 MiB');
    my $reply = $send->();
    is_invalid($reply, 'envelope', ['verification_proof'], 'then a further picture is rejected');
    like($reply->json->{data}{verification_proof}[0], qr/100 MiB/, 'the sentence says why');
    is_deeply([rows(activity_photos => $collector), rows(eco_activities => $collector)], [4, 6],
        'the rejected request removes and stores nothing');
    is_deeply(data(send_form($other, %activity, verification_proof => file($gif)), 201)->{status}, 'PENDING',
        'the limit is that of one user');
    sql('DELETE FROM learnhub.activity_photos WHERE user_id = ?', user_id($collector));
};

# ---- profiles ----

my $profile_keys = [qw(current_streak eco_credits github_username id locked_credits longest_streak on_leaderboard
        profile_pic user)];

subtest 'A user reads and changes the profile' => sub {
    my $new = signup();
    my $id = user_id($new);
    my $empty = profile($new);
    is_deeply($empty, { id => $id, user => $id, profile_pic => undef, github_username => undef, eco_credits => 0,
            locked_credits => 0, current_streak => 0, longest_streak => 0, on_leaderboard => true },
        'the profile of a new user');
    is_deeply(keys_of(data(change($new))), $profile_keys, 'PATCH without fields returns the profile');
    is_deeply(data(change($new, github_username => ' Octo-cat ', github_token => 'ghp_0123456789', eco_credits => 1000,
                id => 1, user => 1, current_streak => 5)), { %$empty, github_username => 'Octo-cat' },
        'github_username is stored; read-only fields and a token are ignored');
    is_deeply(data(change($new, on_leaderboard => false)),
        { %$empty, github_username => 'Octo-cat', on_leaderboard => false }, 'the other fields are kept');
    is(data(change($new, github_username => $_))->{github_username}, $_, "github_username may be $_")
        for 'a', '1', 'a-b-c', 'x' x 39;
    is(data(change($new, github_username => $_))->{github_username}, undef, 'null or an empty string clears it')
        for undef, '';
    for my $name ('-a', 'a-', 'a--b', 'a_b', 'a.b', 'a b', 'ä', 'x' x 40, '-', 5, false) {
        is_invalid(change($new, github_username => $name), 'envelope', ['github_username'],
            'github_username follows the rules of GitHub');
    }
    is_invalid(change($new, github_username => '-', on_leaderboard => 'maybe', profile_pic => 'a.png'), 'envelope',
        [qw(github_username on_leaderboard profile_pic)], 'all invalid fields are reported at once');
    is_deeply(profile($new), { %$empty, on_leaderboard => false }, 'rejected changes are not stored');
    is_error(api(@$_, json => {}), 'envelope', 401, "$_->[0] without a token is rejected")
        for [GET => '/api/profiles/me/'], [PATCH => '/api/profiles/me/'];
};

subtest 'The profile has the credits' => sub {
    my $earner = give(signup(), 2);
    api_as($earner, POST => '/api/codingsessions/', json => { duration => '01:00:00', source => 'manual' });
    api_as($earner, POST => '/api/credits/spend/', json => { amount => 80, reason => 'r' });
    is_deeply([@{ profile($earner) }{qw(eco_credits locked_credits)}], [400, 10],
        'eco_credits are available, locked_credits are locked');
};

sub upload {
    my ($owner, $content, %fields) = @_;
    my $reply = api_as($owner, PATCH => '/api/profiles/me/', multipart => [%fields, profile_pic => file($content)]);
    return data($reply)->{profile_pic};
}

subtest 'The picture of the profile' => sub {
    my ($owner, $stranger) = (signup(), signup());
    my $first = upload($owner, $gif, github_username => 'a', on_leaderboard => 'false');
    like($first, qr{^\Q$base\E/api/profiles/photos/[0-9a-f]{64}\.gif$}, 'the picture has an unguessable URL');
    my $photo = api(GET => path_of($first));
    ok($photo->status == 200 && $photo->body eq $gif && $photo->header('Content-Type') eq 'image/gif',
        'the picture is served without a token');
    is_deeply([@{ profile($owner) }{qw(profile_pic github_username on_leaderboard)}], [$first, 'a', false],
        'a form changes all fields at once');
    is(api_as($owner, GET => '/myprofile/')->json->{profile_photo} =~ s{.*/}{}r, $first =~ s{.*/}{}r,
        'it is the photo of /myprofile/');
    my $alone = second_httpd("LearnHubAPI coding\n");
    is(api(GET => path_of($first), port => $alone->port)->status, 200, 'it is served with the coding API alone');
    upload($stranger, $png);
    is(profile($owner)->{profile_pic}, $first, 'another user does not replace it');
    my $second = upload($owner, $png);
    is_error(api(GET => path_of($first)), 'envelope', 404, 'the replaced picture is not found');
    is(api(GET => path_of($second))->status, 200, 'the new one is');
    is(data(change($owner, github_username => 'b'))->{profile_pic}, $second, 'changing other fields keeps the picture');
    is(data(change($owner, profile_pic => undef))->{profile_pic}, undef, 'null removes it');
    is_error(api(GET => path_of($second)), 'envelope', 404, 'the removed picture is not found');
    is_invalid(api_as($owner, PATCH => '/api/profiles/me/', multipart => [profile_pic => file('<svg/>')]), 'envelope',
        ['profile_pic'], 'a file that is no picture is rejected');
};

# The streaks of a new user with sessions at these times: [days before today, UTC time of day]. Repeated if UTC midnight
# passes meanwhile.
sub streaks {
    my (@times) = @_;
    my $today = sub { (sql("SELECT (now() AT TIME ZONE 'UTC')::date AS day"))[0]{day} };
    while (1) {
        my ($owner, $day) = (signup(), $today->());
        sql("INSERT INTO learnhub.coding_sessions (user_id, seconds, source, created_at)
            VALUES (?, 60, 'manual', (?::date - ?::int + ?::time) AT TIME ZONE 'UTC')", user_id($owner), $day, @$_)
            for @times;
        my $profile = profile($owner);
        return [@$profile{qw(current_streak longest_streak)}] if $day eq $today->();
    }
}

subtest 'Streaks are counted in UTC days' => sub {
    is_deeply(streaks([0, '00:00']), [1, 1], 'a session today');
    is_deeply(streaks([0, '00:00'], [1, '23:59:59.999']), [2, 2], 'two sessions a moment apart, over midnight');
    is_deeply(streaks([0, '00:00'], [0, '00:00:01'], [0, '00:00:02']), [1, 1], 'a day counts once');
    is_deeply(streaks([1, '00:00'], [2, '23:59'], [3, '12:00']), [3, 3], 'a streak that ended yesterday is current');
    is_deeply(streaks([2, '23:59:59.999'], [3, '12:00']), [0, 2], 'one that ended the day before is not');
    is_deeply(streaks([0, '00:00'], [2, '12:00'], [3, '12:00'], [4, '12:00'], [6, '12:00'], [6, '13:00']), [1, 3],
        'a gap ends a streak; the longest counts');
    is_deeply(streaks(map { [$_, '12:00'] } 1 .. 40), [40, 40], 'a long streak');
};

# ---- the leaderboard ----

# The entry of a user, or undef.
sub place {
    my ($owner) = @_;
    my ($entry) = grep { $_->{user_id} == user_id($owner) } @{ leaders() };
    return $entry;
}

subtest 'The leaderboard lists users by unlocked credits' => sub {
    my ($third, $first, $second) = (give(signup(), 3000), give(signup(), 4000), give(signup(), 3000));
    my $idle = signup();
    my $data = data(api(GET => '/api/leaderboard/friends/'));
    is_deeply(keys_of($data), ['leaderboard'], 'the data without a token');
    my @top = @{ $data->{leaderboard} }[0 .. 2];
    is_deeply(keys_of($top[0]), [qw(eco_credits rank user_id username)], 'keys of an entry');
    is_deeply([map { [@$_{qw(rank user_id eco_credits)}] } @top], [[1, user_id($first), 960000],
            [2, user_id($third), 720000], [3, user_id($second), 720000]], 'most credits first, ties by id');
    is_deeply(data(api_as($user, GET => '/api/leaderboard/friends')), $data, 'the data with a token are the same');
    api_as($first, POST => '/api/credits/spend/', json => { amount => 900000, reason => 'r' });
    is(place($first)->{eco_credits}, 960000, 'spending does not lower the place');
    sql("INSERT INTO learnhub.coding_sessions (user_id, seconds, source) VALUES (?, 86400, 'manual')", user_id($first));
    is(place($first)->{eco_credits}, 960000, 'locked sessions do not count');
    is(place($idle), undef, 'users without unlocked credits are not listed');
    data(change($first, on_leaderboard => false));
    is_deeply([place($first), place($third)->{rank}], [undef, 1], 'a user who opts out is not listed');
    data(change($first, on_leaderboard => true));
    is(place($first)->{rank}, 1, 'a user who opts in again is listed');
    sql('UPDATE learnhub.users SET is_active = false WHERE id = ?', user_id($first));
    is_deeply([place($first), place($third)->{rank}], [undef, 1], 'a deactivated user is not listed');
    is(api_as($third, DELETE => '/auth/users/me/', json => { current_password => $third->{password} })->status, 204,
        'a user deletes the account');
    is_deeply([place($third), place($second)->{rank}], [undef, 1], 'a deleted user is not listed');
    data(change($second, on_leaderboard => false));
};

subtest 'Verifying an activity counts on the leaderboard' => sub {
    my $coder = give(signup(), 3000);
    sql("INSERT INTO learnhub.eco_activities (user_id, kind, seconds, description, status, point_parts, verified_at)
        VALUES (?, 'hiking', 3600, '', 'verified', 720000::numeric * 3600, now())", user_id($coder));
    api_as($coder, POST => '/api/codingsessions/', json => { duration => '02:00:00', source => 'manual' }) for 1, 2;
    my $walk = data(post($coder, %activity), 201);
    data(api_as($admin, POST => "/api/ecoactivities/$walk->{id}/verify/"));
    is(place($coder)->{eco_credits}, 720020, '24 points unlock 20 credits');
    sql("DELETE FROM learnhub.coding_sessions WHERE user_id = ? AND seconds = 7200", user_id($coder));
    is(place($coder)->{eco_credits}, 720000, 'sessions that the operator deletes do not count');
    sql("UPDATE learnhub.coding_sessions SET status = 'locked' WHERE id =
        (SELECT min(id) FROM learnhub.coding_sessions WHERE user_id = ?)", user_id($coder));
    is(place($coder)->{eco_credits}, 719760, 'a session that the operator locks again does not count');
    sql("UPDATE learnhub.coding_sessions SET status = 'locked' WHERE user_id = ?", user_id($coder));
    is(place($coder), undef, 'a user whose sessions are all locked again is not listed');
    sql('DELETE FROM learnhub.coding_sessions WHERE user_id = ?', user_id($coder));
    give($coder, 1);
    sql('UPDATE learnhub.coding_sessions SET user_id = ? WHERE user_id = ?', map { user_id($_) } $other, $coder);
    is_deeply([map { $_->{unlocked_credits} } sql('SELECT unlocked_credits FROM learnhub.coding_profiles
            WHERE user_id IN (?, ?) ORDER BY user_id', map { user_id($_) } $other, $coder)], [240, 0],
        'a session that the operator moves to another user counts for that user');
    my @wrong = sql("SELECT s.user_id FROM learnhub.coding_sessions s
        LEFT JOIN learnhub.coding_profiles p USING (user_id) GROUP BY s.user_id, p.unlocked_credits
        HAVING coalesce(sum(s.credits_awarded) FILTER (WHERE s.status = 'unlocked'), 0)
            <> coalesce(p.unlocked_credits, 0)");
    is_deeply(\@wrong, [], 'for every user the counter equals the sum of the unlocked sessions');
};

subtest 'The leaderboard never shows an e-mail address' => sub {
    my $leader = give(signup(first_name => 'Ada'), 3000);
    is(place($leader)->{username}, 'Ada', 'the first name, if the username is an e-mail address');
    my $unique = unique('ada');
    my $number = 'user-' . user_id($leader);
    for my $case ([$unique, 'Ada' => $unique], [$unique, '' => $unique], ["$unique\@example.com", 'Ada' => 'Ada'],
        ["$unique\@example.com", '' => $number], ["$unique\@example.com", 'ada@home.org' => $number],
        ["\@$unique", '' => $number]) {
        my ($username, $first_name, $expected) = @$case; # another address: a username of an older version
        sql('ALTER TABLE learnhub.users DISABLE TRIGGER keep_username_own');
        sql('UPDATE learnhub.users SET username = ?, first_name = ? WHERE id = ?', $username, $first_name,
            user_id($leader));
        sql('ALTER TABLE learnhub.users ENABLE TRIGGER keep_username_own');
        is(place($leader)->{username}, $expected, "username $username, first name '$first_name'");
    }
    data(change($leader, on_leaderboard => false));
};

subtest 'The leaderboard has at most 100 users' => sub {
    my $users = "SELECT id FROM learnhub.users WHERE password_hash = 'leader'";
    sql("INSERT INTO learnhub.users (username, email, password_hash)
        SELECT 'leader-' || n, 'leader-' || n || '\@example.com', 'leader' FROM generate_series(1, 105) n");
    sql("INSERT INTO learnhub.coding_sessions (user_id, seconds, source, status)
        SELECT id, 86400, 'manual', 'unlocked' FROM ($users) u, generate_series(1, 9)");
    my $list = leaders();
    is_deeply([map { $_->{rank} } @$list], [1 .. 100], 'the list has 100 ranks');
    is((grep { $_->{eco_credits} == 2160 } @$list), 100, 'the users with the most credits are listed');
    sql("UPDATE learnhub.coding_profiles SET on_leaderboard = false WHERE user_id IN ($users)");
};

subtest 'The deletion of an account removes its pictures and its profile' => sub {
    my $leaver = give(signup(), 1);
    my $made = data(send_form($leaver, %activity, location => 'Home', verification_proof => file($gif)), 201);
    my $pic = upload($leaver, $gif, github_username => 'leaver');
    is(api_as($leaver, DELETE => '/auth/users/me/', json => { current_password => $leaver->{password} })->status, 204,
        'the account is deleted');
    is_error(api(GET => path_of($_)), 'envelope', 404, 'a picture is removed') for $made->{verification_proof}, $pic;
    my $where = 'WHERE user_id = ' . user_id($leaver);
    is_deeply([sql("SELECT 1 FROM learnhub.coding_profiles $where AND (github_username <> '' OR on_leaderboard)")], [],
        'the profile is empty at once');
    is_deeply([sql("SELECT 1 FROM learnhub.eco_activities $where AND location <> ''")], [],
        'the location is removed at once');
    my $left = 'SELECT user_id FROM learnhub.coding_profiles UNION ALL SELECT user_id FROM learnhub.eco_activities';
    ok(eventually(sub { !sql("SELECT 1 FROM ($left) l $where") }, 20), 'the profile and the activities are deleted');
    ok(!eval { with_pictures($leaver, 1); 1 }, 'a deleted account gets no activity');
    is(rows(activity_photos => $leaver), 0, 'and no picture');
};

done_testing();
