# SPDX-License-Identifier: Apache-2.0
# Rewards and their redemptions: every key and error, and concurrent requests.
use strict;
use warnings;
use utf8;

use LearnHub::Coding;
use LearnHub::Test;
use LearnHub::Users;

my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z$/;
my $user = signup();
my $other = signup();
my $admin = signup(role => 'admin');

# The body of a successful response without the envelope.
sub bare {
    my ($reply, $status) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($reply->status, $status || 200, $reply->name . ' succeeds') || diag($reply->summary);
    return $reply->json;
}

# Creates a reward, with default values for name and cost.
sub reward {
    my (%fields) = @_;
    return api_as($admin, POST => '/api/rewards/', json => { name => 'R', cost => 5, %fields });
}

sub change_reward { my ($id, %fields) = @_; return api_as($admin, PATCH => "/api/rewards/$id/", json => \%fields) }
sub redeem { my ($owner, %fields) = @_; return api_as($owner, POST => '/api/rewards/redeem/', json => \%fields) }
sub redemptions { my ($owner) = @_; return bare(api_as($owner, GET => '/api/rewards/redemptions/')) }

subtest 'Admins create and change rewards' => sub {
    my $made = bare(reward(name => ' Träe ', description => "A tree\n", cost => 50, category => 'merchandise',
            icon => 'tree', popular => true, stock => 7, id => 1), 201);
    is_deeply(keys_of($made), [qw(available category category_display cost created_at description icon id is_active name
                popular stock)], 'keys of a reward, without an envelope');
    is_deeply([@$made{qw(name description cost category category_display icon popular stock available is_active)}],
        ['Träe', "A tree\n", 50, 'merchandise', 'Merchandise', 'tree', true, 7, true, true], 'the fields are stored');
    like($made->{created_at}, $time, 'created_at is a UTC time');
    is_deeply([@{ bare(reward(), 201) }{qw(description category icon popular stock available is_active)}],
        ['', 'environmental', '', false, undef, true, true], 'default values');
    my %new = (name => 'N', description => 'D', cost => 2147483647, category => 'digital', icon => 'leaf',
        popular => false, stock => 0, is_active => true);
    is_deeply(bare(change_reward($made->{id}, %new)),
        { %$made, %new, category_display => 'Digital', available => false }, 'PATCH changes the fields');
    is(bare(change_reward($made->{id}, stock => undef))->{stock}, undef, 'null removes the limit of the stock');
    is_deeply(bare(change_reward($made->{id})),
        { %$made, %new, category_display => 'Digital', stock => undef, available => true }, 'PATCH without fields');
    is_error(change_reward(999999999, cost => 5), 'detail', 404, 'PATCH of an unknown reward');
    for my $case ([name => ''], [name => 'x' x 151], [name => 5], [name => undef], [description => 'x' x 2001],
        [cost => 0], [cost => -1], [cost => 2147483648], [cost => '5'], [cost => 1.5], [cost => undef],
        [category => 'food'], [icon => 'x' x 101], [popular => 'yes'], [stock => -1], [stock => 2147483648],
        [stock => '5'], [is_active => undef]) {
        my ($field, $value) = @$case;
        is_invalid(reward($field => $value), 'detail', [$field], "POST rejects an invalid $field");
        is_invalid(change_reward($made->{id}, $field => $value), 'detail', [$field], "PATCH rejects an invalid $field");
    }
    is_invalid(api_as($admin, POST => '/api/rewards/', json => {}), 'detail', [qw(cost name)],
        'name and cost are required');
    is_error(api_as($user, @$_, json => { name => 'R', cost => 5 }), 'detail', 403, "$_->[0] is for admins")
        for [POST => '/api/rewards/'], [PATCH => "/api/rewards/$made->{id}/"];
};

subtest 'Rewards are listed by cost and name' => sub {
    my @ids = map { reward(@$_)->json->{id} } [cost => 900001, name => 'b'], [cost => 900001, name => 'a'],
        [cost => 900000, name => 'c', stock => 0], [cost => 900002, name => 'd', is_active => false];
    my %mine = map { $_ => 1 } @ids;
    my $all = bare(api_as($user, GET => '/api/rewards/'));
    is_deeply([map { $_->{id} } grep { $mine{ $_->{id} } } @$all], [@ids[2, 1, 0]],
        'the array has the active rewards, also those sold out, by cost and name');
    is_deeply([map { $_->{available} } grep { $mine{ $_->{id} } } @$all], [false, true, true],
        'a reward that is sold out is not available');
    my ($hidden) = grep { $_->{id} == $ids[3] } @{ bare(api_as($admin, GET => '/api/rewards/')) };
    is_deeply([@$hidden{qw(is_active available)}], [false, false], 'admins see inactive rewards too');
    is_deeply(bare(api_as($user, GET => '/api/rewards/?page=2&page_size=1')), [$all->[1]], 'pages of the list');
};

subtest 'A user redeems a reward' => sub {
    my $buyer = give(signup(), 1);
    my $reward = bare(reward(name => 'Tree', cost => 100, stock => 5, icon => 'tree'), 201);
    my $bought = bare(redeem($buyer, reward_id => $reward->{id}), 201);
    is_deeply(keys_of($bought), [qw(message redemption remaining_credits success)], 'keys of the response');
    my $first = $bought->{redemption};
    is_deeply(keys_of($first), [qw(cost date id reward reward_category reward_icon reward_name)],
        'keys of a redemption');
    is_deeply([@$first{qw(cost reward reward_category reward_icon reward_name)}],
        [100, $reward->{id}, 'environmental', 'tree', 'Tree'], 'the redemption');
    like($first->{date}, $time, 'date is a UTC time');
    is_deeply([@$bought{qw(message remaining_credits success)}], ['You have redeemed Tree.', 140, true],
        'the response has the credits left');
    is_deeply([@{ credits($buyer) }{qw(available_credits spent_credits)}], [140, 100], 'the credits are spent');
    is_deeply([map { @$_{qw(amount reason)} } sql('SELECT amount, reason FROM learnhub.credit_spendings
        WHERE user_id = ?', user_id($buyer))], [100, 'Tree'], 'the spending has the amount and the name of the reward');
    bare(change_reward($reward->{id}, name => 'Bush', cost => 140), 200);
    my $second = bare(redeem($buyer, reward => $reward->{id}), 201)->{redemption};
    is_deeply(redemptions($buyer), [$second, $first],
        'redemptions are listed newest first, with the name and cost at the time');
    is_deeply(redemptions($other), [], "other users' redemptions are not listed");
    is(bare(change_reward($reward->{id}))->{stock}, 3, 'the stock is counted');
    give($buyer, 2);
    bare(redeem($buyer, reward_id => $_, reward => $reward->{id}), 201) for $reward->{id}, undef;
    is(bare(change_reward($reward->{id}))->{stock}, 1,
        'both names may be sent with the same value, and one of them may be null');
};

subtest 'Redemptions that are not possible change nothing' => sub {
    my $buyer = give(signup(), 1);
    my %id = map { $_->[0] => bare(reward(@{ $_->[1] }), 201)->{id} } [dear => [cost => 241]],
        [inactive => [is_active => false]], [sold_out => [stock => 0]];
    is_error(redeem($buyer, reward_id => $id{dear}), 'detail', 400, qr/too few credits/, 'too few credits');
    is_error(redeem($buyer, reward_id => $id{inactive}), 'detail', 404, 'an inactive reward is not found');
    is_error(redeem($buyer, reward_id => 999999999), 'detail', 404, 'an unknown reward is not found');
    is_error(redeem($buyer, reward_id => $id{sold_out}), 'detail', 400, qr/sold out/, 'a reward that is sold out');
    is_invalid(redeem($buyer), 'detail', ['reward_id'], 'reward_id is required');
    is_invalid(redeem($buyer, $_->[0] => $_->[1]), 'detail', ['reward_id'], "an invalid $_->[0] is rejected")

        for [reward_id => '5'], [reward_id => 0], [reward => 1.5], [reward => {}], [reward_id => undef];
    is_invalid(redeem($buyer, reward_id => $id{dear}, reward => $id{inactive}), 'detail', ['reward_id'],
        'different values of reward_id and reward are rejected');
    is(credits($buyer)->{spent_credits}, 0, 'nothing is spent');
    is_deeply(redemptions($buyer), [], 'nothing is redeemed');
};

subtest 'Concurrent redemptions neither overspend nor oversell' => sub {
    my $buyer = give(signup(), 1);
    my $plenty = bare(reward(cost => 70), 201)->{id};
    is_deeply([sort map { $_->{status} } parallel(20, sub { redeem($buyer, reward_id => $plenty) })],
        [(201) x 3, (400) x 17], 'of 20 redemptions for 70 of 240 credits three succeed');
    is_deeply([credits($buyer)->{available_credits}, rows(redemptions => $buyer), rows(credit_spendings => $buyer)],
        [30, 3, 3], 'three are paid');
    my $saver = give(signup(), 1);
    my $half = bare(reward(cost => 150), 201)->{id};
    my %spending = (amount => 150, reason => 'r');
    my @mixed = parallel(20, sub {
            return redeem($saver, reward_id => $half) if $_[0] % 2;
            return api_as($saver, POST => '/api/credits/spend/', json => \%spending);
    });
    is((grep { $_->{status} == 201 } @mixed), 1, 'redemptions and spendings share the credits');
    is(credits($saver)->{available_credits}, 90, 'the credits are spent once');
    my @crowd = map { give(signup(), 1) } 1 .. 20;
    my $scarce = bare(reward(cost => 10, stock => 3), 201)->{id};
    is_deeply([sort map { $_->{status} } parallel(20, sub { redeem($crowd[$_[0]], reward_id => $scarce) })],
        [(201) x 3, (400) x 17], 'three of 20 users get the last three items');
    is(bare(change_reward($scarce))->{stock}, 0, 'the stock is 0');
    is_deeply([map { credits($_)->{spent_credits} / 10 } @crowd], [map { scalar @{ redemptions($_) } } @crowd],
        'only those who got one have paid');
};

done_testing();
