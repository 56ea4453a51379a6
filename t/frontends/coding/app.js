// SPDX-License-Identifier: Apache-2.0
import { button, call, configure, element, list, onClick, onSubmit, run, section } from '../client.js';

configure({
    headers: () => ({ Authorization: `Bearer ${localStorage.getItem('authToken')}` }),
    explain: (body) => ('data' in body ? Object.values(body.data).flat().join(' ') : body.detail),
});

// ---- sign-up, log-in, profile ----

onSubmit('signup', async (fields) => {
    const { data } = await call('POST', '/api/users/', { json: fields, open: true });
    element('message').textContent = `Welcome, ${data.username} (${data.email})`;
});

onSubmit('login', async (fields) => {
    const { access } = await call('POST', '/api/token/', { json: fields, open: true });
    localStorage.setItem('authToken', access);
    await show();
});

let me;

async function showProfile() {
    ({ data: me } = await call('GET', '/api/profiles/me/'));
    element('profile').textContent = `User ${me.user} (GitHub: ${me.github_username}, picture: ${me.profile_pic}): `
        + `${me.eco_credits} credits, ${me.locked_credits} locked, streak ${me.current_streak} of ${me.longest_streak}`;
}

async function showHome() {
    section('home');
    await showProfile();
    await showSessions();
    await showActivities();
    await showRewards();
}

onSubmit('github', async (fields) => {
    await call('PATCH', '/api/profiles/me/', { json: fields });
    await showProfile();
});

// ---- coding sessions and activities ----

async function showSessions() {
    const { data } = await call('GET', `/api/codingsessions?user=${me.user}`);
    list('sessions', data, (each) => [`${each.session_name}, ${each.duration}, ${each.source}, ${each.credits_awarded} `
        + `credits, ${each.status}, ${each.created_at}`]);
}

onSubmit('session', async (fields) => {
    await call('POST', '/api/codingsessions/', { json: { ...fields, source: 'manual' } });
    await showSessions();
    await showProfile();
});

async function showActivities() {
    const { data } = await call('GET', '/api/activities/');
    list('activities', data, (each) => {
        const proof = new Image();
        if (each.verification_proof) proof.src = each.verification_proof;
        return [`${each.activity} in ${each.location}, ${each.duration}, ${each.activity_date}: ${each.description}, `
            + `${each.status}`, proof];
    });
}

onSubmit('activity', async (fields, body) => {
    body.delete('hours');
    body.append('duration', `${parseInt(fields.hours, 10)}:00:00`);
    await call('POST', '/api/activities/', { body });
    await showActivities();
});

// ---- rewards and leaderboard ----

async function showRewards() {
    const rewards = await call('GET', '/api/rewards/');
    list('rewards', rewards, (each) => [`${each.icon} ${each.name} (${each.category_display}), ${each.description}, `
        + `${each.cost} credits${each.popular ? ', popular' : ''}`,
        ...(each.available ? [button(`Redeem ${each.name}`, () => redeem(each))] : [])]);
    const redemptions = await call('GET', '/api/rewards/redemptions/');
    list('redemptions', redemptions, (each) => [`${each.reward_icon} ${each.reward_name}, ${each.cost} credits, `
        + each.date]);
}

async function redeem({ id }) {
    const { redemption, remaining_credits, message } = await call('POST', '/api/rewards/redeem/',
        { json: { reward_id: id } });
    await showRewards();
    await showProfile();
    element('message').textContent = `${message} ${redemption.reward_name}, ${remaining_credits} credits left`;
}

onClick('board', async () => {
    const { data } = await call('GET', '/api/leaderboard/friends/', { open: true });
    list('leaderboard', data.leaderboard, (each) => [`${each.rank}. ${each.user_id === me.user ? 'I' : each.username}: `
        + `${each.eco_credits} credits`]);
});

// ---- admins verify activities ----

async function showPending() {
    section('admin');
    const { data } = await call('GET', '/api/ecoactivities/?status=pending');
    list('pending', data, (each) => [`${each.description}: ${each.kind}, ${each.points} points`,
        button('Verify', async () => {
            await call('POST', `/api/ecoactivities/${each.id}/verify/`);
            await showPending();
        })]);
}

function show() {
    return location.hash === '#admin' ? showPending() : showHome();
}

if (localStorage.getItem('authToken')) run(show);
else section('entry');
