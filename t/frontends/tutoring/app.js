// SPDX-License-Identifier: Apache-2.0
import { button, call, configure, element, list, onClick, onSubmit, run, section } from '../client.js';

const stored = (name) => localStorage.getItem(name);

function store({ access, refresh }) {
    localStorage.setItem('access', access);
    if (refresh) localStorage.setItem('refresh', refresh);
}

// Clients of this kind send X-CSRFToken with every call, also with those before the log-in.
configure({
    headers: () => ({
        'X-CSRFToken': 'none', ...(stored('access') && { Authorization: `Bearer ${stored('access')}` }),
    }),
    explain: (data) => data.error,
    async renew() {
        if (!stored('refresh')) return false;
        const json = { refresh: stored('refresh') };
        const { access } = await call('POST', '/api/auth/token/refresh/', { json, open: true });
        store({ access });
        return true;
    },
});

// ---- registration and log-in ----

async function enter(path, json) {
    const { message, user, tokens } = await call('POST', path, { json });
    store(tokens);
    await showHome();
    element('message').textContent = `${message}: ${user.username}, ${user.role}, since ${user.date_joined}`;
}

onSubmit('register', (fields) => enter('/api/auth/register/', fields));
onSubmit('login', (fields) => enter('/api/auth/login/', fields));

onClick('logout', async () => {
    const { detail } = await call('POST', '/api/auth/logout/', { json: { refresh: stored('refresh') } });
    localStorage.clear();
    section('entry');
    element('message').textContent = detail;
});

// ---- lists ----

async function showHome() {
    section('home');
    const me = await call('GET', '/api/auth/user/');
    element('me').textContent = `${me.id}: ${me.first_name} ${me.last_name}, ${me.email}, ${me.role}`;
    await showSessions('');
}

async function showSessions(query) {
    const { count, results, next } = await call('GET', `/api/sessions/${query}`);
    const total = next ? `, ${count} in all` : '';
    list('sessions', results, (each) => [`${each.title} by ${each.creator.first_name} on ${each.date}: ${each.status}, `
        + `${each.participant_count} of ${each.max_participants}${each.can_join ? ', open' : ''}${total}`,
        button('Details', () => showDetail(each.id))]);
}

onSubmit('filter', (fields) => {
    const given = Object.entries(fields).filter(([, value]) => value);
    return showSessions(`?${new URLSearchParams(given)}`);
});

onClick('mine', async () => {
    const { results } = await call('GET', '/api/sessions/my_sessions/');
    list('own', results, (each) => [`${each.title}: ${each.status}`]);
});

onSubmit('create', async (fields) => {
    const json = { ...fields, max_participants: Number(fields.max_participants) };
    const { id } = await call('POST', '/api/sessions/', { json });
    await showDetail(id);
});

// ---- one session ----

let id; // of the session that is shown

async function showDetail(which) {
    id = which;
    section('detail');
    const session = await call('GET', `/api/sessions/${id}/`);
    element('title').textContent = session.title;
    element('about').textContent = `${session.description}; ${session.date}; ${session.status}; `
        + `${session.available_spots} of ${session.max_participants} free${session.is_full ? '; full' : ''}`;
    list('participants', session.participants, ({ user, role, joined_at }) => [
        `${user.first_name} ${user.last_name}, ${role}, since ${joined_at}`]);
}

for (const action of ['join', 'start', 'complete', 'cancel', 'leave']) {
    onClick(action, async () => {
        await call('POST', `/api/sessions/${id}/${action}/`);
        await showDetail(id);
    });
}

onClick('back', showHome);

if (stored('access')) run(showHome);
else section('entry');
