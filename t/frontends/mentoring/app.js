// SPDX-License-Identifier: Apache-2.0
import { button, call, configure, element, list, onClick, onSubmit, run, section } from '../client.js';

configure({
    headers: () => ({ Authorization: `Token ${localStorage.getItem('auth_token')}` }),
    // The page of availabilities shows the body of a refusal itself, which must be an array of sentences then.
    explain(data) {
        if (Array.isArray(data)) return data.join(' ');
        return 'detail' in data ? data.detail : data.non_field_errors.join(' ');
    },
});

// ---- registration and log-in ----

onSubmit('register', async (fields) => {
    try {
        const { id, username, email } = await call('POST', '/auth/users/', { json: fields, open: true });
        element('message').textContent = `Registered ${username}, ${email}, number ${id}`;
        list('wrong', [], () => []);
    } catch (refusal) { // the errors stand under the fields that they belong to
        list('wrong', Object.entries(refusal.data), ([field, sentences]) => [`${field}: ${sentences[0]}`]);
    }
});

onSubmit('login', async ({ username, password }) => {
    const json = { username: username.toLowerCase(), password };
    const { auth_token } = await call('POST', '/auth/token/login', { json, open: true });
    localStorage.setItem('auth_token', auth_token);
    await showHome();
});

onClick('logout', async () => {
    await call('POST', '/auth/token/logout/');
    localStorage.removeItem('auth_token');
    section('entry');
});

// ---- the own profile ----

let me;
let profile; // of a mentor; null for others

async function showHome() {
    section('home');
    me = await call('GET', '/myprofile/');
    element('me').textContent = `${me.pk}: ${me.username}, ${me.first_name} ${me.last_name}, ${me.phone_number}, `
        + `mentor: ${me.is_mentor}, mentee: ${me.is_mentee}`;
    element('photo').hidden = !me.profile_photo;
    if (me.profile_photo) element('photo').src = me.profile_photo;
    if (me.is_mentor) await showMentor();
    if (me.is_mentee) await showMentee();
    await showSettings();
}

// The mentor's page reads the profile from the first element of the answer.
async function showMentor() {
    const answer = await call('GET', '/mentorinfo/');
    profile = { about_me: answer[0].about_me, skills: answer[0].skills, team_number: answer[0].team_number };
    element('profile').textContent = `${profile.about_me} [${profile.skills.join(', ')}] team ${profile.team_number}`;
    await showAvailabilities();
}

async function showMentee() {
    const answer = await call('GET', '/menteeinfo/');
    element('profile').textContent = `Team ${answer[0].team_number}`;
    const mentors = await call('GET', '/mentor/');
    const topics = new Set(mentors.flatMap((mentor) => (mentor.about_me === null ? [] : [...mentor.skills])));
    element('find').topic.replaceChildren(...[...topics].sort().map((topic) => new Option(topic)));
}

function flag(name) {
    const body = new FormData();
    body.append(name, 'True');
    return call('PATCH', '/myprofile/', { body });
}

// The first save makes the user a mentor. Later ones send the profile as it was read, with the changes of the form.
onSubmit('mentor', async (fields, data) => {
    const changes = Object.fromEntries(Object.entries(fields).filter(([name, value]) => name !== 'skills' && value));
    if (data.getAll('skills').length) changes.skills = data.getAll('skills');
    if (me.is_mentor) {
        await call('PATCH', '/mentorinfoupdate/', { json: { ...profile, ...changes } });
    } else {
        await flag('is_mentor');
        await call('POST', '/mentorinfo/', { json: { about_me: '', skills: [], ...changes } });
    }
    element('mentor').reset();
    await showHome();
});

onSubmit('mentee', async ({ team_number }) => {
    await flag('is_mentee');
    await call('POST', '/menteeinfo/', { json: { team_number } });
    await showHome();
});

onSubmit('person', async (fields, body) => {
    if (!fields.profile_photo.size) body.delete('profile_photo');
    await call('PATCH', '/myprofile/', { body });
    await showHome();
});

// ---- availabilities ----

onSubmit('availability', async ({ start_time, end_time }) => {
    const json = { start_time: `${start_time}:00Z`, end_time: `${end_time}:00Z` };
    await call('POST', '/availability/', { json });
    await showAvailabilities();
});

async function showAvailabilities() {
    const own = await call('GET', '/availability/');
    list('availabilities', own, (each) => [`${each.start_time} to ${each.end_time}`, button('Cancel', async () => {
        await call('DELETE', `/availability/${each.pk}/`);
        await showAvailabilities();
    })]);
}

// ---- finding a mentor, booking ----

onSubmit('find', async ({ topic }) => {
    const mentors = await call('GET', '/mentor/');
    const able = mentors.filter((mentor) => mentor.skills.includes(topic) && mentor.availabilities.length);
    list('mentors', able, (mentor) => [`${mentor.first_name} (${mentor.about_me})`,
        ...mentor.availabilities.map((slot) => button(`Book ${slot.start_time}`, () => book(slot)))]);
});

async function book(slot) {
    const json = { mentor_availability: slot.pk, start_time: slot.start_time, session_length: 30 };
    const session = await call('POST', '/sessionrequest/', { json });
    element('message').textContent = `Requested: ${session.mentor_first_name}, ${session.status}`;
    await showSessions();
}

async function showSessions() {
    const change = (session, status) => async () => {
        await call('PATCH', `/sessionrequest/${session.pk}/`, { json: { status } });
        await showSessions();
    };
    list('sessions', await call('GET', '/session/'), (each) => [
        `${each.mentor_first_name} and ${each.mentee_first_name}, ${each.start_time}, ${each.session_length} minutes, `
            + each.status,
        ...(each.mentor === me.pk ? [button('Confirm', change(each, 'Confirmed'))] : []),
        button('Cancel session', change(each, 'Canceled'))]);
    // The page shows the latest session first, and expects the answer oldest first.
    const past = await call('GET', '/archivesession/');
    list('archive', [...past].reverse(), (each) => [`${each.start_time}, ${each.status}`]);
}

onClick('refresh', showSessions);

// ---- mails ----

async function showSettings() {
    const settings = await call('GET', `/notificationsettings/${me.pk}/`);
    const names = ['session_requested', 'session_confirmed', 'session_canceled', 'fifteen_minute_alert',
        'sixty_minute_alert'];
    list('settings', names, (name) => [`${name}: ${settings[name]}`, button(`Switch ${name}`, async () => {
        await call('PATCH', `/notificationsettings/${me.pk}/`, { json: { [name]: !settings[name] } });
        await showSettings();
    })]);
}

if (localStorage.getItem('auth_token')) run(showHome);
else section('entry');
