# SPDX-License-Identifier: Apache-2.0
# XP rates of an activity: set by an admin, returned by a model (here an HTTP server of the test), or computed by the
# built-in engine.
use strict;
use warnings;
use utf8;

use LearnHub::Model;
use LearnHub::Test;

my @dimensions = qw(physique energy logic creativity social);
my $unknown_id = '00000000-0000-4000-8000-000000000000';
my ($ada, $bob) = map { signup() } 1 .. 2;
my ($worker, $admin) = map { signup(role => $_) } qw(service admin);

# The body of a reply; dies unless the status is 200 or 201.
sub json_of { my ($reply) = @_; $reply->status =~ /^20[01]$/ or die $reply->summary; return $reply->json }

# Creates a goal of $ada; returns its id.
sub goal {
    my ($title, $category) = @_;
    my %body = (title => $title // 'Qqq', $category ? (category => { name => $category }) : ());
    return json_of(api_as($ada, POST => '/api/v1/goals/', json => \%body))->{id};
}

# Creates an activity; returns its id.
sub activity {
    my ($name, %with) = @_;
    return json_of(api_as($admin, POST => '/api/v1/activities/',
            json => { name => $name, category => 'Vvv', %with }))->{id};
}

# The reply of calculate-rates.
sub calculate {
    my ($activity, $goal, %with) = @_;
    return api_as($ada, POST => '/api/v1/sessions/calculate-rates/',
        json => { activity_id => $activity, goal_id => $goal }, %with);
}

sub rates { return json_of(calculate(@_))->{rates} }

my $any_goal = goal();

subtest 'calculate-rates returns five numbers with two decimals' => sub {
    my $reply = calculate(activity('Drawing', category => 'Creativity'), goal('Drawing Mandalorian', 'Drawing'));
    is_deeply([$reply->status, keys_of($reply->json)], [200, ['rates']], 'the response has the key rates only');
    is_deeply(keys_of($reply->json->{rates}), [sort @dimensions], 'rates has one key per dimension');
    my $number = qr/\d+\.\d\d/;
    my $rates = join ',', map {qq("$_":$number)} @dimensions;
    like($reply->body, qr/^\{"rates":\{$rates\}\}$/, 'each rate has two decimals');
    is($reply->body, calculate(activity('Drawing', category => 'Creativity'),
            goal('Drawing Mandalorian', 'Drawing'))->body, 'equal names and categories give equal rates');
};

my $drawing = json_of(api_as($ada, GET => '/api/v1/activities/?q=drawing'))->{results}[0]{id};

subtest "Activity and goal must exist, and the goal must be the caller's" => sub {
    is_invalid(api_as($ada, POST => '/api/v1/sessions/calculate-rates/', json => {}), 'detail',
        ['activity_id'], 'activity_id is required');
    is_invalid(calculate($_, $any_goal), 'detail', ['activity_id'], 'an unknown or invalid activity_id is rejected')
        for $unknown_id, 'x', 5, undef;
    is_invalid(calculate($drawing, $_), 'detail', ['goal_id'], 'an unknown or invalid goal_id is rejected')
        for $unknown_id, 'x', 5;
    is_invalid(calculate($unknown_id, $unknown_id), 'detail', [qw(activity_id goal_id)],
        'unknown activity_id and goal_id are reported together');
    is_invalid(api_as($bob, POST => '/api/v1/sessions/calculate-rates/',
            json => { activity_id => $drawing, goal_id => $any_goal }), 'detail', ['goal_id'],
        "another user's goal is rejected");
    json_of(api_as($_, POST => '/api/v1/sessions/calculate-rates/',
            json => { activity_id => $drawing, goal_id => $any_goal })) for $worker, $admin;
    pass('services and admins may use the goal of any user');
};

subtest 'calculate-rates accepts other names, and no goal' => sub {
    my $calculated = sub { return api_as($ada, POST => '/api/v1/sessions/calculate-rates/', json => {@_}) };
    my $walk = activity('Zwrth', category => 'Walking');
    my $walking = goal('Run a marathon', 'Fitness');
    my ($with, $without) = (rates($walk, $walking), rates($walk));
    cmp_ok($with->{physique}, '!=', $without->{physique}, 'the goal counts');
    is_deeply(json_of($calculated->(activity => $walk, goal => $walking))->{rates}, $with, 'activity and goal');
    is_deeply(json_of($calculated->(activity => $walk))->{rates}, $without, 'activity without a goal');
    is_invalid($calculated->(activity => $walk, goal => $any_goal, goal_id => $walking), 'detail', ['goal_id'],
        'two different goals are rejected');
    is_invalid($calculated->(goal => $unknown_id, activity => $unknown_id), 'detail', [qw(activity_id goal_id)],
        'unknown ids are rejected');
};

subtest 'Every activity of the catalogue has rates from 0 to 1' => sub {
    for my $row (sql('SELECT id, name FROM learnhub.activities WHERE rates IS NULL')) {
        my $found = rates($row->{id}, $any_goal);
        ok(!grep({ !defined || ref || $_ < 0 || $_ > 1 } @$found{@dimensions}),
            "the rates of $row->{name} are numbers from 0 to 1");
    }
};

my %own = (physique => 0.11, energy => 2.5, logic => 0, creativity => 33, social => 100);
my $set = activity('Running', category => 'Fitness', rates => \%own);

subtest 'Rates set by an admin take precedence over the engine' => sub {
    is_deeply(rates($set, $any_goal), \%own, 'the rates of the activity are returned');
    json_of(api_as($admin, PATCH => "/api/v1/activities/$set/", json => { rates => { logic => 7 } }));
    is_deeply(rates($set, $any_goal), { %own, logic => 7 }, 'changed rates of the activity are returned');
};

my @comparisons = (
    ['Trampoline evening', 'Sport', 'physique > logic'],
    ['Marathons', undef, 'physique > logic', 'physique > creativity'],
    ['Powerlifter class', undef, 'physique > social'], ['Swimmers', undef, 'physique > logic'],
    ['Mountain bikers', undef, 'physique > creativity'],
    ['Ballerina', 'Dance', 'creativity > logic', 'physique > logic'], ['Judoka', 'Karate', 'physique > creativity'],
    ['Snorkelers', undef, 'physique > logic'], ['Skateboarders', undef, 'physique > logic'],
    ['Volleyballers', undef, 'social > logic', 'physique > logic'], ['Deadlifts', undef, 'physique > energy'],
    ['Trekkers', 'Hiking', 'physique > logic'], ['Rustacean meetup', 'Programming', 'logic > physique'],
    ['Debugger', undef, 'logic > physique', 'logic > social'], ['Haskell', 'Software', 'logic > creativity'],
    ['Refactored', undef, 'logic > physique'], ['Differential equations', undef, 'logic > creativity'],
    ['Biochemistry', undef, 'logic > physique'], ['Linear algebra', 'Homework', 'logic > social'],
    ['Sudokus', undef, 'logic > physique'], ['Crosswords', undef, 'logic > physique'],
    ['Tax return', undef, 'logic > creativity'], ['Welsh', 'Language', 'logic > physique', 'social > physique'],
    ['Storyteller', undef, 'creativity > physique'], ['Sonnet', 'Poetry', 'creativity > physique'],
    ['Memoir', 'Writing', 'creativity > social'], ['Watercolouring', undef, 'creativity > physique'],
    ['Paintings', undef, 'creativity > logic'], ['Sketchbook', undef, 'creativity > physique'],
    ['Sculptures', undef, 'creativity > social'], ['Embroidered', 'Crafts', 'creativity > physique'],
    ['Ukuleles', undef, 'creativity > physique'], ['Percussionist', undef, 'creativity > logic'],
    ['Choirs', undef, 'creativity > logic', 'social > logic'],
    ['Vipassana', 'Meditation', 'energy > physique', 'energy > social'], ['Siesta', 'Rest', 'energy > physique'],
    ['Naps', undef, 'energy > logic'], ['Grandparent', 'Family', 'social > logic'],
    ['Volunteers', undef, 'social > creativity'], ['Befriending', 'Friends', 'social > physique'],
    ['Debaters', undef, 'social > physique'], ['Tutored', undef, 'social > physique'],
    ['Monopolies', 'Tabletop', 'social > physique'], ['Vacuumed', undef, 'physique > creativity'],
    ['Gardeners', undef, 'physique > social'], ['Recipebook', 'Kitchen', 'creativity > logic'],
);

subtest 'The engine rates activities that are not in its table by the similarity of words' => sub {
    cmp_ok(scalar @comparisons, '>=', 40, 'at least 40 activities are tested');
    for my $case (@comparisons) {
        my ($name, $category, @expected) = @$case;
        my @listed = sql('SELECT 1 FROM learnhub.rates_profiles
            WHERE lower(name) = lower(?) OR ? = ANY (string_to_array(words, ?))', $name, lc $name, ' ');
        is_deeply(\@listed, [], "$name is not in the table");
        my $found = rates(activity($name, $category ? (category => $category) : ()), $any_goal);
        for my $comparison (@expected) {
            my ($more, $less) = split / > /, $comparison;
            cmp_ok($found->{$more}, '>', $found->{$less}, "$name: $comparison");
        }
    }
};

my $running = rates(activity('Running'), $any_goal);
my $painting = rates(activity('Drawing'), $any_goal);

subtest 'The engine rates typical activities' => sub {
    ok($painting->{creativity} > 0.7 && $painting->{physique} < 0.2,
        'drawing is high in creativity and low in physique');
    ok($running->{physique} > 0.7 && $running->{creativity} < 0.2, 'running is high in physique and low in creativity');
};

my $unknown = rates(activity('Zwrth'), $any_goal);

subtest 'Unknown words get medium rates, refined by categories and the goal' => sub {
    ok(!grep({ $_ < 0.1 || $_ > 0.5 } @$unknown{@dimensions}), 'all rates of an unknown word are from 0.1 to 0.5');
    is_deeply(rates(activity($_), $any_goal), $unknown,
        'unknown words have the same rates: ' . JSON::XS->new->allow_nonref->ascii->encode($_))
        for '!?', '散歩', "o'; DROP", '%_\\', 'x' x 100, '& | ! <-> :*';
    my $vague = activity('Zwrth');
    cmp_ok(rates($vague, goal('Run a marathon', 'Fitness'))->{physique}, '>', $unknown->{physique},
        'the title of the goal refines an unknown activity');
    cmp_ok(rates($vague, goal('Qqq', 'Programming'))->{logic}, '>', $unknown->{logic},
        'the category of the goal refines an unknown activity');
    cmp_ok(rates(activity('Zwrth', category => 'Chess'), $any_goal)->{logic}, '>', $unknown->{logic},
        'the category of the activity refines an unknown activity');
    my $mixed = rates(activity('Running'), goal('Write a novel', 'Writing'));
    ok($mixed->{physique} > 0.7 && $mixed->{creativity} >= $running->{creativity},
        'the activity weighs more than the goal');
};

local $ENV{no_proxy} = '127.0.0.1';
my $key = 'sk-test-never-to-be-seen';
my $key_file = "$top/t/logs/model-key-$$";
open my $out, '>', $key_file or die $!;
print $out "$key\n";
close $out;
my $model = LearnHub::Model->new;
my %model_rates = (physique => 0.125, energy => 1, logic => 0, creativity => 0.5, social => 12.25);
my %rounded = (%model_rates, physique => 0.13);

# One process, so that there is one circuit breaker.
sub server {
    my ($more) = @_;
    return second_httpd("StartServers 1\nServerLimit 1\nThreadsPerChild 32\nMaxRequestWorkers 32\nMinSpareThreads 1\n"
            . "MaxSpareThreads 32\nLearnHubModelURL " . $model->url
            . qq(\nLearnHubModelName "small one"\nLearnHubModelKey "file:$key_file"\n$more\n)
            . "<Location /metrics>\nSetHandler learnhub-metrics\n</Location>\n");
}

# The number of open circuit breakers in the metrics of the server.
sub open_breakers { return api(GET => '/metrics', @_)->body =~ /^learnhub_model_unavailable (\d+)$/m ? $1 : undef }

# A response of the model, with some rates changed.
sub response_with { return JSON::XS->new->canonical->encode({ %model_rates, @_ }) }

my $httpd = server('LearnHubModelTimeout 5s');
my @on_server = (port => $httpd->port);

# The number of requests to the model.
sub count_requests { return scalar(my @replies = $model->requests) }

$model->behave(content => response_with());

my ($activity, $goal);

subtest 'The model receives names and categories only' => sub {
    ($activity, $goal) = (activity('Debug "it"', category => 'Ünïcode'), goal('Ship', 'Code'));
    is_deeply(rates($activity, $goal, @on_server), \%rounded, 'rates of the model are rounded to two decimals');
    my ($request) = $model->requests;
    is($request->{line}, 'POST /v1/chat/completions HTTP/1.1', 'the request is a chat completion');
    is_deeply([@{ $request->{headers} }{qw(content-type authorization)}], ['application/json', "Bearer $key"],
        'the request has JSON and the API key');
    is($request->{body}{model}, 'small one', 'the request names the model');
    is_deeply([map { $_->{role} } @{ $request->{body}{messages} }], [qw(system user)],
        'the request has a system and a user message');
    is_deeply(JSON::XS->new->decode($request->{body}{messages}[1]{content}),
        { activity => 'Debug "it"', category => 'Ünïcode', goal => 'Ship', goal_category => 'Code' },
        'the question has names and categories of activity and goal');
};

subtest 'The rates of the model are stored per activity and goal' => sub {
    $model->behave(content => response_with(logic => 9));
    is_deeply(rates($activity, $goal, @on_server), \%rounded,
        'the stored rates are returned instead of a new response');
    is_deeply(rates($activity, $goal), \%rounded, 'a server without a model returns the stored rates');
    is(count_requests(), 1, 'the model is asked once per activity and goal');
    is_deeply(rates($activity, goal('Ship', 'Code'), @on_server), { %rounded, logic => 9 },
        'another goal is asked for separately');
};

subtest 'The model is asked again when a name or category changes' => sub {
    for my $change ([$admin, "/api/v1/activities/$activity/", { name => 'Debug that' }],
        [$admin, "/api/v1/activities/$activity/", { category => 'C' }],
        [$ada, "/api/v1/goals/$goal/", { title => 'Sail' }],
        [$ada, "/api/v1/goals/$goal/", { category => { name => 'Sea' } }]) {
        my ($user, $path, $body) = @$change;
        my $before = count_requests();
        my $logic = $before + 0.5;
        $model->behave(content => response_with(logic => $logic));
        json_of(api_as($user, PATCH => $path, json => $body));
        is(rates($activity, $goal, @on_server)->{logic}, $logic,
            "the model is asked again after a change of $path: " . join ' ', %$body);
        is(count_requests(), $before + 1, "one request to the model after a change of $path");
        json_of(api_as($user, PATCH => $path, json => { emoji => '🎈' }));
        is(rates($activity, $goal, @on_server)->{logic}, $logic,
            "a change of the emoji does not change the rates of $path");
        is(count_requests(), $before + 1, "a change of the emoji of $path sends no request");
    }
};

my $before = count_requests();

subtest 'The model is not asked without need' => sub {
    is_deeply(rates($set, $any_goal, @on_server), { %own, logic => 7 },
        'rates set by an admin take precedence over the model');
    is_invalid(calculate($activity, $unknown_id, @on_server), 'detail', ['goal_id'], 'an unknown goal is rejected');
    is_deeply(rates(activity('Zwrth'), undef, @on_server), rates(activity('Zwrth')),
        'without a goal the built-in rates are returned');
    is(count_requests(), $before, 'no request was sent to the model');
};

my ($popular, $shared, @replies);

subtest 'Concurrent requests ask the model once' => sub {
    $model->behave(content => response_with(), after => 0.5);
    ($popular, $shared) = (activity('Popular'), goal());
    @replies = parallel(8, sub { return calculate($popular, $shared, @on_server) });
    is_deeply([grep { $_->{status} != 200 } @replies], [], 'all concurrent requests return rates');
    is(count_requests(), $before + 1, 'one of the concurrent requests asks the model');
    is_deeply(rates($popular, $shared, @on_server), \%rounded, 'later requests return the rates of the model');
};

# Six requests wait for a claim in the database, which is rolled back.
subtest 'When a claim on a question is rolled back, one of the waiting requests asks' => sub {
    my $locks = "SELECT count(*) AS n FROM pg_locks WHERE ";
    my $claims = "relation = 'learnhub.rates_kept'::regclass AND mode = 'RowExclusiveLock' AND granted";
    $model->behave(content => response_with());
    ($popular, $before) = (activity('Popular again'), count_requests());
    @replies = parallel 7, sub {
        my ($i) = @_;
        if ($i) {
            eventually(sub { (sql($locks . $claims))[0]{n} });
            return calculate($popular, $shared, @on_server);
        }
        database()->begin_work;
        sql('INSERT INTO learnhub.rates_kept (activity_id, goal_id, question) VALUES (?, ?, ?)', $popular, $shared,
            'none');
        my $wait = eventually(sub { (sql($locks . 'NOT granted'))[0]{n} == 6 });
        database()->rollback;
        return { status => $wait ? 200 : 0 };
    };
    is_deeply([map { $_->{status} } @replies], [(200) x 7], 'all waiting requests succeed');
    is(count_requests(), $before + 1, 'one of the waiting requests asks the model');
};

subtest 'No database connection is held while the model is asked' => sub {
    my $narrow = server("LearnHubModelTimeout 5s\nDBDMax 1\nDBDKeep 1\nLearnHubConnectionWait 1s");
    my @on_narrow = (port => $narrow->port);
    json_of(api_as($ada, GET => '/api/v1/goals/', @on_narrow));
    $model->behave(content => response_with(), after => 2);
    my ($slow, $meanwhile) = (activity('Slow'), count_requests());
    @replies = parallel 2, sub {
        my ($i) = @_;
        return calculate($slow, $shared, @on_narrow) if !$i;
        eventually(sub { count_requests() > $meanwhile });
        return api_as($ada, GET => '/api/v1/goals/', @on_narrow);
    };
    is_deeply([map { $_->{status} } @replies], [200, 200], 'the only connection is free for another request');
    is_deeply($replies[0]{json}{rates}, \%rounded, "the model's rates are returned");
    $narrow->stop;
};

subtest 'Text around the JSON, a wrapping object and unknown keys in the response of the model are accepted' => sub {
    for my $content ("Sure!\n```json\n" . response_with() . "\n```\nAnything else?",
        '{"rates": ' . response_with() . '}', response_with(mood => 'good')) {
        $model->behave(content => $content);
        is_deeply(rates(activity('Qrst'), $any_goal, @on_server), \%rounded,
            'accepted: ' . substr $content =~ s/\s+/ /gr, 0, 30);
    }
};

subtest "The engine's rates are returned when the response of the model is unusable" => sub {
    my %unusable = (
        'no JSON' => { body => 'hello' }, 'half an object' => { content => substr response_with(), 0, 20 },
        'no choices' => { body => '{}' },
        'an array' => { body => '[]' }, 'no content' => { content => undef },
        'words without JSON' => { content => 'very physical' },
        'other keys' => { content => '{"strength": 1}' },
        'a string for a rate' => { content => response_with(logic => '0.5') },
        'a missing rate' => { content => response_with() =~ s/"logic":0,//r },
        'a negative rate' => { content => response_with(logic => -0.01) },
        'a rate above 100' => { content => response_with(logic => 100.5) },
        'infinity for a rate' => { content => response_with() =~ s/"logic":0/"logic":1e999/r },
        'null for a rate' => { content => response_with(logic => undef) },
        'true for a rate' => { content => response_with(logic => true) },
        'zero for all rates' => { content => response_with(map { $_ => 0 } @dimensions) },
        'a key twice' => { content => response_with() =~ s/\{/{"logic":1,/r },
        'status 500' => { status => 500, content => response_with() },
        'status 429' => { status => 429, content => response_with() },
        'a redirect' => { status => 302, content => response_with() },
        'a response of 70 KB' => { content => response_with() . ' ' x 70000 },
    );
    for my $name (sort keys %unusable) {
        $model->behave(%{ $unusable{$name} });
        my ($word, $count) = (activity('Zwrth'), count_requests());
        is_deeply(rates($word, $any_goal, @on_server), $unknown, "$name: the engine's rates are returned");
        is(count_requests(), $count + 1, "$name: the model was asked");
        $model->behave(content => response_with());
        is_deeply(rates(activity('Good again'), $any_goal, @on_server), \%rounded,
            "$name: one failure does not open the circuit breaker");
    }
};

$httpd->stop;

subtest 'Three failures open the circuit breaker' => sub {
    expect_log(qr/LH0010: /);
    $httpd = server('LearnHubModelTimeout 300ms');
    @on_server = (port => $httpd->port);
    $model->behave(content => response_with(), after => 3);
    $before = count_requests();
    is_deeply(rates(activity('Zwrth'), $any_goal, @on_server), $unknown,
        "a slow model: the engine's rates are returned") for 1 .. 3;
    is(eventually(sub { count_requests() == $before + 3 }), 1, 'each of the three requests asked the model');
    is_deeply(rates(activity('Zwrth'), $any_goal, @on_server), $unknown,
        "the engine's rates are returned while the circuit breaker is open") for 1 .. 3;
    is(count_requests(), $before + 3, 'the model is not asked while the circuit breaker is open');
    like($httpd->log_text, qr/LH0010: model: circuit breaker open/, 'the open circuit breaker is logged');
    is(open_breakers(@on_server), 1, 'and is in the metrics');
};

subtest 'A successful try closes the circuit breaker' => sub {
    $model->behave(content => response_with());
    my $waiting = activity('Waiting');
    ok(eventually(sub { rates($waiting, $any_goal, @on_server)->{social} == 12.25 }),
        'after a while one request tries and succeeds');
    is_deeply(rates(activity('At once'), $any_goal, @on_server), \%rounded, 'later requests ask the model');
    like($httpd->log_text, qr/LH0011: model: circuit breaker closed/, 'the closed circuit breaker is logged');
    is(open_breakers(@on_server), 0, 'and is in the metrics');
};

subtest 'A failed try keeps the circuit breaker open' => sub {
    $model->behave(content => 'nonsense');
    rates(activity('Zwrth'), $any_goal, @on_server) for 1 .. 3;
    $before = count_requests();
    ok(eventually(sub { rates(activity('Zwrth'), $any_goal, @on_server); count_requests() > $before }),
        'after a while one request tries');
    my $tries = count_requests();
    rates(activity('Zwrth'), $any_goal, @on_server) for 1 .. 3;
    is(count_requests(), $tries, 'further requests do not ask the model');
};

my $late = activity('Late');

subtest "The engine's rates are returned when the model cannot be reached" => sub {
    $model->behave(content => response_with());
    ok(eventually(sub { rates($late, $any_goal, @on_server)->{social} == 12.25 }),
        'the circuit breaker is closed before');
    $model->stop;
    is_deeply(rates(activity('Zwrth'), $any_goal, @on_server), $unknown, "the engine's rates are returned") for 1 .. 5;
    is_deeply(rates($late, $any_goal, @on_server), \%rounded, 'stored rates are still returned');
};

subtest 'The API key is not logged' => sub {
    my $log = $httpd->log_text;
    $httpd->stop;
    unlike($_, qr/\Q$key/, 'the API key is not in the log')
        for $log, map { open my $in, '<', $_ or die; local $/; scalar <$in> }
        glob "$top/t/logs/*log* $top/t/logs/second-*.log";
};

done_testing();
