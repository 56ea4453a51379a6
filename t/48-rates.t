# SPDX-License-Identifier: Apache-2.0
# What an activity earns in a second: an admin's rates, the model's in a real HTTP conversation, and the engine's.
use strict;
use warnings;
use utf8;

use LearnHub::Model;
use LearnHub::Test;

my @dimensions = qw(physique energy logic creativity social);
my $nowhere = '00000000-0000-4000-8000-000000000000';
my ($ada, $bob) = map { signup() } 1 .. 2;
my ($worker, $admin) = map { signup(role => $_) } qw(service admin);

sub call {
    my ($who, $method, $path, $json, %with) = @_;
    return api($method, "/api/v1/$path", token => $who->{token}, json => $json, %with);
}

sub made { my ($reply) = @_; $reply->status =~ /^20[01]$/ or die $reply->summary; return $reply->json }

sub goal {
    my ($title, $category) = @_;
    return made(call($ada, POST => 'goals/', { title => $title // 'Qqq', $category ? (category => { name => $category }) : () }))
        ->{id};
}

sub activity {
    my ($name, %with) = @_;
    return made(call($admin, POST => 'activities/', { name => $name, category => 'Vvv', %with }))->{id};
}

sub ask { my ($activity, $goal, %with) = @_; return call($ada, POST => 'sessions/calculate-rates/',
        { activity_id => $activity, goal_id => $goal }, %with) }

sub rates { return made(ask(@_))->{rates} }

my $any_goal = goal();

# ---- the form ----

my $reply = ask(activity('Drawing', category => 'Creativity'), goal('Drawing Mandalorian', 'Drawing'));
is_deeply([$reply->status, keys_of($reply->json)], [200, ['rates']], 'rates');
is_deeply(keys_of($reply->json->{rates}), [sort @dimensions], 'five of them');
my $number = qr/\d+\.\d\d/;
like($reply->body, qr/^\{"rates":\{"physique":$number,"energy":$number,"logic":$number,"creativity":$number,"social":$number\}\}$/,
    'each with two decimals');
is($reply->body, ask(activity('Drawing', category => 'Creativity'), goal('Drawing Mandalorian', 'Drawing'))->body,
    'the same words give the same numbers');
my $drawing = made(call($ada, GET => 'activities/?q=drawing', undef))->{results}[0]{id};
is_invalid(call($ada, POST => 'sessions/calculate-rates/', {}), 'plain', [qw(activity_id goal_id)]);
is_invalid(ask($_, $any_goal), 'plain', ['activity_id']) for $nowhere, 'x', 5, undef;
is_invalid(ask($drawing, $_), 'plain', ['goal_id']) for $nowhere, 'x', 5, undef;
is_invalid(ask($nowhere, $nowhere), 'plain', [qw(activity_id goal_id)]);
is_invalid(call($bob, POST => 'sessions/calculate-rates/', { activity_id => $drawing, goal_id => $any_goal }), 'plain',
    ['goal_id'], "another's goal");
made(call($_, POST => 'sessions/calculate-rates/', { activity_id => $drawing, goal_id => $any_goal })) for $worker, $admin;
pass('a service and an admin may ask for anybody');
for my $row (sql('SELECT id, name FROM learnhub.activities WHERE rates IS NULL')) {
    my $found = rates($row->{id}, $any_goal);
    ok(!grep({ !defined || ref || $_ < 0 || $_ > 1 } @$found{@dimensions}), "numbers for $row->{name}");
}

# ---- an admin's own ----

my %own = (physique => 0.11, energy => 2.5, logic => 0, creativity => 33, social => 100);
my $set = activity('Running', category => 'Fitness', rates => \%own);
is_deeply(rates($set, $any_goal), \%own, "the activity's own rates go first");
made(call($admin, PATCH => "activities/$set/", { rates => { logic => 7 } }));
is_deeply(rates($set, $any_goal), { %own, logic => 7 }, 'also when they change');

# ---- the engine's common sense: none of these names is in its table ----

my @sense = (
    ['Trampoline evening', 'Sport', 'physique > logic'], ['Marathons', undef, 'physique > logic', 'physique > creativity'],
    ['Powerlifter class', undef, 'physique > social'], ['Swimmers', undef, 'physique > logic'],
    ['Mountain bikers', undef, 'physique > creativity'], ['Ballerina', 'Dance', 'creativity > logic', 'physique > logic'],
    ['Judoka', 'Karate', 'physique > creativity'], ['Snorkelers', undef, 'physique > logic'],
    ['Skateboarders', undef, 'physique > logic'], ['Volleyballers', undef, 'social > logic', 'physique > logic'],
    ['Deadlifts', undef, 'physique > energy'], ['Trekkers', 'Hiking', 'physique > logic'],
    ['Rustacean meetup', 'Programming', 'logic > physique'], ['Debugger', undef, 'logic > physique', 'logic > social'],
    ['Haskell', 'Software', 'logic > creativity'], ['Refactored', undef, 'logic > physique'],
    ['Differential equations', undef, 'logic > creativity'], ['Biochemistry', undef, 'logic > physique'],
    ['Linear algebra', 'Homework', 'logic > social'], ['Sudokus', undef, 'logic > physique'],
    ['Crosswords', undef, 'logic > physique'], ['Tax return', undef, 'logic > creativity'],
    ['Welsh', 'Language', 'logic > physique', 'social > physique'], ['Storyteller', undef, 'creativity > physique'],
    ['Sonnet', 'Poetry', 'creativity > physique'], ['Memoir', 'Writing', 'creativity > social'],
    ['Watercolouring', undef, 'creativity > physique'], ['Paintings', undef, 'creativity > logic'],
    ['Sketchbook', undef, 'creativity > physique'], ['Sculptures', undef, 'creativity > social'],
    ['Embroidered', 'Crafts', 'creativity > physique'], ['Ukuleles', undef, 'creativity > physique'],
    ['Percussionist', undef, 'creativity > logic'], ['Choirs', undef, 'creativity > logic', 'social > logic'],
    ['Vipassana', 'Meditation', 'energy > physique', 'energy > social'], ['Siesta', 'Rest', 'energy > physique'],
    ['Naps', undef, 'energy > logic'], ['Grandparent', 'Family', 'social > logic'],
    ['Volunteers', undef, 'social > creativity'], ['Befriending', 'Friends', 'social > physique'],
    ['Debaters', undef, 'social > physique'], ['Tutored', undef, 'social > physique'],
    ['Monopolies', 'Tabletop', 'social > physique'], ['Vacuumed', undef, 'physique > creativity'],
    ['Gardeners', undef, 'physique > social'], ['Recipebook', 'Kitchen', 'creativity > logic'],
);
cmp_ok(scalar @sense, '>=', 40, 'there are at least forty');
for my $case (@sense) {
    my ($name, $category, @claims) = @$case;
    is_deeply([sql('SELECT 1 FROM learnhub.rates_profiles WHERE lower(name) = lower(?) OR ? = ANY (string_to_array(words, ?))',
                $name, lc $name, ' ')], [], "$name is not in the table");
    my $found = rates(activity($name, $category ? (category => $category) : ()), $any_goal);
    for my $claim (@claims) {
        my ($more, $less) = split / > /, $claim;
        cmp_ok($found->{$more}, '>', $found->{$less}, "$name: $claim");
    }
}
my $running = rates(activity('Running'), $any_goal);
my $painting = rates(activity('Drawing'), $any_goal);
ok($painting->{creativity} > 0.7 && $painting->{physique} < 0.2, 'drawing is high in creativity and low in physique');
ok($running->{physique} > 0.7 && $running->{creativity} < 0.2, 'running the reverse');
my $unknown = rates(activity('Zwrth'), $any_goal);
ok(!grep({ $_ < 0.1 || $_ > 0.5 } @$unknown{@dimensions}), 'what nobody knows is middling');
is_deeply(rates(activity($_), $any_goal), $unknown, 'so is ' . JSON::XS->new->allow_nonref->ascii->encode($_))

    for '!?', '散歩', "o'; DROP", '%_\\', 'x' x 100, '& | ! <-> :*';
my $vague = activity('Zwrth');
cmp_ok(rates($vague, goal('Run a marathon', 'Fitness'))->{physique}, '>', $unknown->{physique}, 'the goal says more of it');
cmp_ok(rates($vague, goal('Qqq', 'Programming'))->{logic}, '>', $unknown->{logic}, "and so does the goal's category");
cmp_ok(rates(activity('Zwrth', category => 'Chess'), $any_goal)->{logic}, '>', $unknown->{logic}, "and the activity's");
my $mixed = rates(activity('Running'), goal('Write a novel', 'Writing'));
ok($mixed->{physique} > 0.7 && $mixed->{creativity} >= $running->{creativity}, 'but the activity itself counts most');

# ---- the model ----

local $ENV{no_proxy} = '127.0.0.1';
my $key = 'sk-test-never-to-be-seen';
my $key_file = "$top/t/logs/model-key-$$";
open my $out, '>', $key_file or die $!;
print $out "$key\n";
close $out;
my $model = LearnHub::Model->new;
my %said = (physique => 0.125, energy => 1, logic => 0, creativity => 0.5, social => 12.25);
my %rounded = (%said, physique => 0.13);

# One process, so that there is one breaker.
sub server {
    my ($more) = @_;
    return second_httpd("StartServers 1\nServerLimit 1\nThreadsPerChild 32\nMaxRequestWorkers 32\nMinSpareThreads 1\n"
            . "MaxSpareThreads 32\nLearnHubModelURL " . $model->url
            . qq(\nLearnHubModelName "small one"\nLearnHubModelKey "file:$key_file"\n$more\n));
}

sub said { return JSON::XS->new->canonical->encode({ %said, @_ }) }

my $httpd = server('LearnHubModelTimeout 5s');
my @there = (port => $httpd->port);

sub questions { return scalar(my @all = $model->asked) }

$model->behave(content => said());
my ($activity, $goal) = (activity('Debug "it"', category => 'Ünïcode'), goal('Ship', 'Code'));
is_deeply(rates($activity, $goal, @there), \%rounded, "the model's numbers, with two decimals");
my ($asked) = $model->asked;
is($asked->{line}, 'POST /v1/chat/completions HTTP/1.1', 'a chat completion');
is_deeply([@{ $asked->{headers} }{qw(content-type authorization)}], ['application/json', "Bearer $key"], 'its headers');
is($asked->{body}{model}, 'small one', 'the name of the model');
is_deeply([map { $_->{role} } @{ $asked->{body}{messages} }], [qw(system user)], 'two messages');
is_deeply(JSON::XS->new->decode($asked->{body}{messages}[1]{content}),
    { activity => 'Debug "it"', category => 'Ünïcode', goal => 'Ship', goal_category => 'Code' }, 'what it is asked about');
$model->behave(content => said(logic => 9));
is_deeply(rates($activity, $goal, @there), \%rounded, 'the answer is kept');
is_deeply(rates($activity, $goal), \%rounded, 'for all servers');
is(questions(), 1, 'it was asked once');
is_deeply(rates($activity, goal('Ship', 'Code'), @there), { %rounded, logic => 9 }, 'another goal is another question');
for my $change ([$admin, "activities/$activity/", { name => 'Debug that' }], [$admin, "activities/$activity/", { category => 'C' }],
    [$ada, "goals/$goal/", { title => 'Sail' }], [$ada, "goals/$goal/", { category => { name => 'Sea' } }]) {
    my ($who, $path, $body) = @$change;
    my $before = questions();
    my $logic = $before + 0.5;
    $model->behave(content => said(logic => $logic));
    made(call($who, PATCH => $path, $body));
    is(rates($activity, $goal, @there)->{logic}, $logic, "asked again after $path " . join ' ', %$body);
    is(questions(), $before + 1, 'once');
    made(call($who, PATCH => $path, { emoji => '🎈' }));
    is(rates($activity, $goal, @there)->{logic}, $logic, 'what the question does not tell changes nothing');
    is(questions(), $before + 1, 'it is not asked for that');
}
my $before = questions();
is_deeply(rates($set, $any_goal, @there), { %own, logic => 7 }, "an admin's rates go before the model's");
is_invalid(ask($activity, $nowhere, @there), 'plain', ['goal_id']);
is(questions(), $before, 'and it is not asked');
$model->behave(content => said(), after => 0.5);
my ($popular, $shared) = (activity('Popular'), goal());
my @all = parallel(8, sub { return ask($popular, $shared, @there) });
is_deeply([grep { $_->{status} != 200 } @all], [], 'many at once get an answer');
is(questions(), $before + 1, 'the model is asked once for all of them');
is_deeply(rates($popular, $shared, @there), \%rounded, 'and then they all get it');

# Six claims wait for one that is taken back: one of them may ask.
my $locks = "SELECT count(*) AS n FROM pg_locks WHERE ";
my $claims = "relation = 'learnhub.rates_kept'::regclass AND mode = 'RowExclusiveLock' AND granted";
$model->behave(content => said());
($popular, $before) = (activity('Popular again'), questions());
@all = parallel(7, sub {
        my ($i) = @_;
        if ($i) {
            eventually(sub { (sql($locks . $claims))[0]{n} });
            return ask($popular, $shared, @there);
        }
        LearnHub::Test::database()->begin_work;
        sql('INSERT INTO learnhub.rates_kept (activity_id, goal_id, question) VALUES (?, ?, ?)', $popular, $shared, 'none');
        my $wait = eventually(sub { (sql($locks . 'NOT granted'))[0]{n} == 6 });
        LearnHub::Test::database()->rollback;
        return { status => $wait ? 200 : 0 };
});
is_deeply([map { $_->{status} } @all], [(200) x 7], 'claims at one instant');
is(questions(), $before + 1, 'let one ask');

my $narrow = server("LearnHubModelTimeout 5s\nDBDMax 1\nDBDKeep 1\nLearnHubConnectionWait 200ms");
my @narrow = (port => $narrow->port);
made(call($ada, GET => 'goals/', undef, @narrow));
$model->behave(content => said(), after => 2);
my ($slow, $meanwhile) = (activity('Slow'), questions());
@all = parallel(2, sub {
        my ($i) = @_;
        return ask($slow, $shared, @narrow) if !$i;
        eventually(sub { questions() > $meanwhile });
        return call($ada, GET => 'goals/', undef, @narrow);
});
is_deeply([map { $_->{status} } @all], [200, 200], 'the only connection is free while the model is asked');
is_deeply($all[0]{json}{rates}, \%rounded, 'which then answers');
$narrow->stop;

# ---- what it may say ----

for my $content ("Sure!\n```json\n" . said() . "\n```\nAnything else?", '{"rates": ' . said() . '}', said(mood => 'good')) {
    $model->behave(content => $content);
    is_deeply(rates(activity('Qrst'), $any_goal, @there), \%rounded, 'taken: ' . substr $content =~ s/\s+/ /gr, 0, 30);
}
my %nonsense = (
    'no JSON' => { body => 'hello' }, 'half an object' => { content => substr said(), 0, 20 }, 'no choices' => { body => '{}' },
    'an array' => { body => '[]' }, 'no text' => { content => undef }, 'words' => { content => 'very physical' },
    'other keys' => { content => '{"strength": 1}' }, 'a text' => { content => said(logic => '0.5') },
    'one missing' => { content => said() =~ s/"logic":0,//r }, 'a negative one' => { content => said(logic => -0.01) },
    'an absurd one' => { content => said(logic => 100.5) }, 'infinity' => { content => said() =~ s/"logic":0/"logic":1e999/r },
    'null' => { content => said(logic => undef) }, 'true' => { content => said(logic => true) },
    'all zero' => { content => said(map { $_ => 0 } @dimensions) }, 'a key twice' => { content => said() =~ s/\{/{"logic":1,/r },
    'status 500' => { status => 500, content => said() }, 'status 429' => { status => 429, content => said() },
    'a redirect' => { status => 302, content => said() }, 'too much of it' => { content => said() . ' ' x 70000 },
);
for my $name (sort keys %nonsense) {
    $model->behave(%{ $nonsense{$name} });
    my ($word, $count) = (activity('Zwrth'), questions());
    is_deeply(rates($word, $any_goal, @there), $unknown, "$name: the engine answers");
    is(questions(), $count + 1, 'after the model was asked');
    $model->behave(content => said());
    is_deeply(rates(activity('Good again'), $any_goal, @there), \%rounded, 'a single failure opens nothing');
}
$httpd->stop;

# ---- slow, and down ----

expect_log(qr/the model fails and is left alone/);
$httpd = server('LearnHubModelTimeout 100ms');
@there = (port => $httpd->port);
$model->behave(content => said(), after => 3);
$before = questions();
is_deeply(rates(activity('Zwrth'), $any_goal, @there), $unknown, 'a slow model: the engine answers') for 1 .. 3;
is(questions(), $before + 3, 'each of them has asked');
is_deeply(rates(activity('Zwrth'), $any_goal, @there), $unknown, 'then the breaker is open') for 1 .. 3;
is(questions(), $before + 3, 'and the model is left alone');
like($httpd->log_text, qr/left alone/, 'the log says so');
$model->behave(content => said());
my $waiting = activity('Waiting');
ok(eventually(sub { rates($waiting, $any_goal, @there)->{social} == 12.25 }), 'after a while one request tries, and it closes');
is_deeply(rates(activity('At once'), $any_goal, @there), \%rounded, 'for all');
like($httpd->log_text, qr/answers again/, 'the log says this, too');
$model->behave(content => 'nonsense');
rates(activity('Zwrth'), $any_goal, @there) for 1 .. 3;
$before = questions();
ok(eventually(sub { rates(activity('Zwrth'), $any_goal, @there); questions() > $before }), 'open again, one tries');
my $tries = questions();
rates(activity('Zwrth'), $any_goal, @there) for 1 .. 3;
is(questions(), $tries, 'and when it fails, it stays open');

my $late = activity('Late');
$model->behave(content => said());
ok(eventually(sub { rates($late, $any_goal, @there)->{social} == 12.25 }), 'it closes again');
$model->stop;
is_deeply(rates(activity('Zwrth'), $any_goal, @there), $unknown, 'nobody listens: the engine answers') for 1 .. 5;
is_deeply(rates($late, $any_goal, @there), \%rounded, 'what was kept stays');
my $log = $httpd->log_text;
$httpd->stop;
unlike($_, qr/\Q$key/, 'the key is in no log') for $log, map { open my $in, '<', $_ or die; local $/; scalar <$in> }
    glob "$top/t/logs/*log* $top/t/logs/second-*.log";

done_testing();
