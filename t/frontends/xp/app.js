// SPDX-License-Identifier: Apache-2.0
import { button, call, configure, element, list, onClick, onSubmit, run, section } from '../client.js';

const stored = (name) => localStorage.getItem(name);
const dimensions = ['physique', 'energy', 'logic', 'creativity', 'social'];

configure({
    headers: () => ({ Authorization: `Bearer ${stored('access')}` }),
    explain: (data) => ('detail' in data ? data.detail : Object.values(data).flat().join(' ')),
    async renew() {
        const json = { refresh: stored('refresh') };
        localStorage.setItem('access', (await call('POST', '/api/v1/auth/refresh/', { json, open: true })).access);
        return true;
    },
});

// ---- registration and log-in ----

async function enter(path, json) {
    const { access, refresh } = await call('POST', path, { json, open: true });
    localStorage.setItem('access', access);
    localStorage.setItem('refresh', refresh);
    await showHome();
}

onSubmit('register', (fields) => enter('/api/v1/auth/register/', fields));
onSubmit('login', (fields) => enter('/api/v1/auth/login/', fields));

// ---- goals ----

let me;

async function showHome() {
    section('home');
    me = await call('GET', '/api/v1/auth/me/');
    const xp = await call('GET', '/api/v1/users/me/xp/');
    element('me').textContent = `${me.username}, ${me.email}, ${me.first_name} ${me.last_name}: `
        + `level ${xp.life_level}, ${xp.xp_total} points, ${xp.xp_to_next_level} to the next level`;
    for (const status of ['planned', 'ongoing', 'completed']) {
        const { results } = await call('GET', `/api/v1/goals/?status=${status}`);
        list(status, results, (each) => [`${each.emoji} ${each.title} (${each.category.name}), `
            + `until ${each.finish_by}: ${each.days_completed} of ${each.days_total} days, ${each.status}`,
            ...(each.status === 'planned' ? [button('Start', () => change(each.id, 'ongoing'))] : []),
            ...(each.status === 'ongoing' ? [button('Finish', () => change(each.id, 'completed'))] : []),
            button('Open', () => showGoal(each.id))]);
    }
}

async function change(id, status) {
    await call('PATCH', `/api/v1/goals/${id}/`, { json: { status } });
    await showHome();
}

onSubmit('create', async ({ category, color, days_total, ...fields }) => {
    const json = { ...fields, category: { name: category, color }, days_total: Number(days_total), status: 'planned' };
    const { id } = await call('POST', '/api/v1/goals/', { json });
    await showGoal(id);
});

// ---- one goal and its sessions ----

let goal; // the id
let live; // the session: {session_id, started, rates}

async function showGoal(id) {
    goal = id;
    section('goal');
    const { title, emoji, description, status, created_at, updated_at } = await call('GET', `/api/v1/goals/${id}/`);
    element('title').textContent = `${emoji} ${title}`;
    element('about').textContent = `${description}; ${status}; created ${created_at}, changed ${updated_at}`;
    const { results } = await call('GET', '/api/v1/activities/?page_size=100');
    const options = results.map((each) => new Option(`${each.emoji} ${each.name}`, each.id));
    element('begin').activity.replaceChildren(...options);
    await showHistory();
}

// Pages of this kind show the activity's name only if it has a type.
async function showHistory() {
    const { results } = await call('GET', `/api/v1/goals/${goal}/sessions/`);
    list('history', results, ({ activity, xp_total, focused_duration_seconds, completed_reason, ...rest }) => [
        `${typeof activity.type === 'string' ? `${activity.emoji} ${activity.name}` : 'Activity'}: `
        + `${xp_total} points (${dimensions.map((name) => rest[`xp_${name}`]).join(', ')}), `
        + `${focused_duration_seconds} seconds, ${completed_reason}, ended ${rest.ended_at}`]);
}

onSubmit('begin', async ({ activity }) => {
    const { rates } = await call('POST', '/api/v1/sessions/calculate-rates/',
        { json: { activity_id: activity, goal_id: goal } });
    live = { session_id: `live-${crypto.randomUUID()}`, started: Date.now() - 3600000, rates };
    const json = { session_id: live.session_id, user_id: me.id, goal, activity, status: 'active',
        started_at: new Date(live.started).toISOString(), device_platform: 'web' };
    const { id, status } = await call('POST', '/api/v1/sessions/', { json });
    element('live').textContent = `${id} is ${status}: `
        + dimensions.map((name) => `${name} ${rates[name]}`).join(', ');
});

onClick('end', async () => {
    const seconds = Math.round((Date.now() - live.started) / 1000);
    const points = dimensions.map((name) => [`xp_${name}`, Math.round(live.rates[name] * seconds)]);
    const json = { status: 'completed', ended_at: new Date().toISOString(), total_duration_seconds: seconds,
        focused_duration_seconds: seconds, xp_total: points.reduce((sum, [, value]) => sum + value, 0),
        ...Object.fromEntries(points), completed_reason: 'manual', device_platform: 'web' };
    const { id, status, xp_total } = await call('PUT', `/api/v1/sessions/${live.session_id}/`, { json });
    element('live').textContent = `${id} is ${status}: ${xp_total}`;
    await showHistory();
});

onClick('back', showHome);

if (stored('access')) run(showHome);
else section('entry');
