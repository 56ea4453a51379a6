// SPDX-License-Identifier: Apache-2.0
// Mentoring: a mentor with profile, photo and availability; a mentee books, the mentor confirms.

const year = new Date().getUTCFullYear() + 1;
const loggedIn = ['GET /myprofile/ 200', 'GET /notificationsettings/{id}/ 200'];
const mentorHome = ['GET /myprofile/ 200', 'GET /mentorinfo/ 200', 'GET /availability/ 200',
    'GET /notificationsettings/{id}/ 200'];
const menteeHome = ['GET /myprofile/ 200', 'GET /menteeinfo/ 200', 'GET /mentor/ 200',
    'GET /notificationsettings/{id}/ 200'];
const sessions = ['GET /session/ 200', 'GET /archivesession/ 200'];

async function join(flow, label) {
    const name = await flow.ask('name', label.split(' ')[1]);
    const someone = await flow.person();
    const password = 'a good password';
    const fields = { username: name, email: `${name}@example.com`, password, re_password: password };
    await flow.step(`${label} registers`, ['POST /auth/users/ 201'], async () => {
        await someone.submit('register', fields);
        await someone.reads('message', /^Registered .+@example\.com, number \d+$/);
    });
    await flow.step(`${label} logs in with a capital letter`, ['POST /auth/token/login 200', ...loggedIn], async () => {
        await someone.submit('login', { username: name[0].toUpperCase() + name.slice(1), password });
        await someone.reads('me', /mentor: false, mentee: false$/);
        await someone.has('settings', 5);
    });
    return someone;
}

// A picture of 3.5 MB, as a phone takes them: noise, which does not compress.
async function bigPicture({ page }) {
    const encoded = await page.evaluate(async () => {
        const canvas = new OffscreenCanvas(1080, 1080);
        const pen = canvas.getContext('2d');
        const noise = pen.createImageData(1080, 1080);
        for (let i = 0; i < noise.data.length; i++) noise.data[i] = i % 4 === 3 ? 255 : Math.random() * 256;
        pen.putImageData(noise, 0, 0);
        const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
        return bytes.toBase64();
    });
    return { name: 'phone.png', mimeType: 'image/png', buffer: Buffer.from(encoded, 'base64') };
}

async function mentorProfile({ step }, ada) {
    const save = { about_me: 'I teach C', skills: ['C', 'Go'] };
    await step('become a mentor', ['PATCH /myprofile/ 200', 'POST /mentorinfo/ 201', ...mentorHome], async () => {
        await ada.submit('mentor', save);
        await ada.reads('profile', 'I teach C [C, Go] team null');
    });
    await step('change the team', ['PATCH /mentorinfoupdate/ 200', ...mentorHome], async () => {
        await ada.submit('mentor', { team_number: '7' });
        await ada.reads('profile', 'I teach C [C, Go] team 7');
    });
    await step('the second save loses nothing', ['PATCH /mentorinfoupdate/ 200', ...mentorHome], async () => {
        await ada.submit('mentor', { about_me: 'I teach C and Go' });
        await ada.reads('profile', 'I teach C and Go [C, Go] team 7');
    });
    const person = { first_name: 'Ada', last_name: 'Mentor', phone_number: '+1(919) 555-9999' };
    const saved = ['PATCH /myprofile/ 200', ...mentorHome];
    await step('name, phone number with punctuation, photo of 3.5 MB', saved, async () => {
        await ada.submit('person', { ...person, profile_photo: await bigPicture(ada) });
        await ada.reads('me', /Ada Mentor, \+19195559999, mentor: true/);
        await ada.page.waitForFunction(() => document.getElementById('photo').naturalWidth === 1080);
    });
}

async function availability({ step, ask }, ada) {
    const slot = (from, to) => ({ start_time: `${year}-05-04T${from}`, end_time: `${year}-05-04T${to}` });
    await step('offer two availabilities', ['POST /availability/ 201', 'GET /availability/ 200'], async () => {
        await ada.submit('availability', slot('09:00', '10:00'));
        await ada.has('availabilities', 1);
    });
    await step('an overlapping one is refused with a sentence', ['POST /availability/ 400'], async () => {
        await ada.submit('availability', slot('09:30', '11:00'));
        await ada.reads('message', /^[A-Z].*overlap.*\.$/);
    });
    await step('an end before the start, too', ['POST /availability/ 400'], async () => {
        await ada.submit('availability', slot('12:00', '11:00'));
        await ada.reads('message', /^[A-Z].*\.$/);
    });
    await ask('another_mentor');
    await step('the list has the own ones only', ['POST /availability/ 201', 'GET /availability/ 200'], async () => {
        await ada.submit('availability', slot('14:00', '15:00'));
        await ada.has('availabilities', 2);
    });
    await step('an availability can be cancelled', ['DELETE /availability/{id}/ 204', 'GET /availability/ 200'],
        async () => {
            await ada.click('Cancel', ada.page.locator('#availabilities > li').nth(1));
            await ada.has('availabilities', 1);
        });
}

async function booking({ step, ask }, ada, max) {
    await step('become a mentee', ['PATCH /myprofile/ 200', 'POST /menteeinfo/ 201', ...menteeHome], async () => {
        await max.submit('mentee', { team_number: '4' });
        await max.reads('profile', 'Team 4');
    });
    await step('find a mentor by topic', ['GET /mentor/ 200'], async () => {
        await max.submit('find', { topic: 'Go' });
        await max.reads('mentors', new RegExp(`Ada \\(I teach C and Go\\)\\s*Book ${year}-05-04T09:00:00Z`));
    });
    const book = `Book ${year}-05-04T09:00:00Z`;
    const entry = max.page.locator('#mentors > li', { hasText: 'Ada (I teach C and Go)' });
    await step('book a session', ['POST /sessionrequest/ 201', ...sessions], async () => {
        await max.click(book, entry);
        await max.reads('message', 'Requested: Ada, Pending');
        await max.has('sessions', 1);
    });
    await step('the same time cannot be booked twice', ['POST /sessionrequest/ 400'], async () => {
        await max.click(book, entry);
        await max.reads('message', /^[A-Z].*\.$/);
    });
    await ask('earlier_sessions');
    await step('the mentor sees the request, and earlier sessions, latest first', sessions, async () => {
        await ada.click('Refresh');
        await ada.reads('sessions', /30 minutes, Pending/);
        await ada.reads('archive', /2020-02-02[^]*2020-01-01/);
    });
    await step('the mentor confirms', ['PATCH /sessionrequest/{id}/ 201', ...sessions], async () => {
        await ada.click('Confirm');
        await ada.reads('sessions', /30 minutes, Confirmed/);
    });
    await step('the mentee sees it', sessions, async () => {
        await max.click('Refresh');
        await max.reads('sessions', /Ada and .*Confirmed/);
    });
}

export default async function mentoring(flow) {
    const { step } = flow;
    const ada = await join(flow, 'a mentor');
    await mentorProfile(flow, ada);
    await availability(flow, ada);
    const max = await join(flow, 'a mentee');
    await booking(flow, ada, max);
    await step('a switch for mails is kept', ['PATCH /notificationsettings/{id}/ 200',
        'GET /notificationsettings/{id}/ 200', ...mentorHome], async () => {
        await ada.click('Switch session_requested');
        await ada.reads('settings', /session_requested: true/);
        await ada.page.reload();
        await ada.reads('settings', /session_requested: true/);
    });
    await flow.picture(ada);
    await step('log out', ['POST /auth/token/logout/ 204'], async () => {
        await ada.click('Log out');
        await ada.reads('register', /Register/);
    });
    await step('errors stand under their fields', ['POST /auth/users/ 400'], async () => {
        const wrong = { username: 'x', email: 'no address', password: 'short', re_password: 'short' };
        await ada.submit('register', wrong);
        await ada.reads('wrong', /email: .*\n.*password: /);
    });
}
