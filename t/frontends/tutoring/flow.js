// SPDX-License-Identifier: Apache-2.0
// Tutoring: an instructor creates, starts and completes a session; a student joins and cannot create one.

const year = new Date().getUTCFullYear() + 1;
const home = ['GET /api/auth/user/ 200', 'GET /api/sessions/ 200'];
const detail = 'GET /api/sessions/{id}/ 200';
const session = { title: 'Pointers', description: 'Arrays and pointers', date: `${year}-03-01T10:00`,
    max_participants: '2' };
const password = 'a good password';

async function register({ step, person, ask }, role, first_name) {
    const someone = await person();
    someone.name = await ask('name', role);
    const fields = { email: `${someone.name}@example.com`, username: someone.name, first_name, last_name: 'Person',
        password, confirm_password: password, role };
    await step(`a new ${role} registers`, ['POST /api/auth/register/ 201', ...home], async () => {
        await someone.submit('register', fields);
        await someone.reads('message', new RegExp(`^[A-Z].*: ${someone.name}, ${role}, since \\d{4}-.*Z$`));
        await someone.reads('me', new RegExp(`^\\d+: ${first_name} Person, ${someone.name}@example.com, ${role}$`));
    });
    return someone;
}

async function accounts({ step }, ina) {
    await step('log out', ['POST /api/auth/logout/ 200'], async () => {
        await ina.click('Log out');
        await ina.reads('message', 'Successfully logged out.');
    });
    await step('registering again shows the reason', ['POST /api/auth/register/ 400'], async () => {
        await ina.click('Register');
        await ina.reads('message', /\.$/);
    });
    await step('a wrong password is refused', ['POST /api/auth/login/ 401'], async () => {
        await ina.submit('login', { email: `${ina.name}@example.com`, password: 'a wrong password' });
        await ina.reads('message', /^[A-Z]/);
    });
    await step('log in', ['POST /api/auth/login/ 200', ...home], async () => {
        await ina.submit('login', { password });
        await ina.reads('message', new RegExp(`${ina.name}, instructor`));
    });
    await step('an expired token is renewed', ['GET /api/sessions/my_sessions/ 401',
        'POST /api/auth/token/refresh/ 200', 'GET /api/sessions/my_sessions/ 200'], async () => {
        await ina.page.evaluate(() => localStorage.setItem('access', 'expired'));
        await ina.click('Show mine');
        await ina.has('own', 0);
    });
}

export default async function tutoring(flow) {
    const { step } = flow;
    const ina = await register(flow, 'instructor', 'Ina');
    await accounts(flow, ina);
    await step('a date in the past is refused', ['POST /api/sessions/ 400'], async () => {
        await ina.submit('create', { ...session, date: '2020-03-01T10:00' });
        await ina.reads('message', /date/);
    });
    await step('create a session', ['POST /api/sessions/ 201', detail], async () => {
        await ina.submit('create', session);
        await ina.reads('about', `Arrays and pointers; ${year}-03-01T10:00:00Z; upcoming; 2 of 2 free`);
    });
    const stu = await register(flow, 'student', 'Stu');
    await step('a student cannot create one', ['POST /api/sessions/ 403'], async () => {
        await stu.submit('create', session);
        await stu.reads('message', 'Only instructors can create sessions.');
    });
    await step('filter by state and date', [`GET /api/sessions/?status=upcoming&date_from=${year}-01-01T00%3A00 200`],
        async () => {
            await stu.submit('filter', { status: 'upcoming', date_from: `${year}-01-01T00:00` });
            await stu.reads('sessions',
                new RegExp(`Pointers by Ina on ${year}-03-01T10:00:00Z: upcoming, 0 of 2, open`));
        });
    await step('open it', [detail], async () => {
        await stu.click('Details', stu.page.locator('#sessions > li', { hasText: 'Pointers by Ina' }).first());
        await stu.reads('title', 'Pointers');
    });
    await step('join', ['POST /api/sessions/{id}/join/ 201', detail], async () => {
        await stu.click('Join');
        await stu.reads('participants', /^Stu Person, student, since \d{4}-/);
        await stu.reads('about', /1 of 2 free/);
    });
    await step('joining again shows the reason', ['POST /api/sessions/{id}/join/ 400'], async () => {
        await stu.click('Join');
        await stu.reads('message', /already/);
    });
    await step('only the creator starts a session', ['POST /api/sessions/{id}/start/ 403'], async () => {
        await stu.click('Start');
        await stu.reads('message', /^[A-Z].*\.$/);
    });
    await step('start', ['POST /api/sessions/{id}/start/ 200', detail], async () => {
        await ina.click('Start');
        await ina.reads('about', /ongoing; 1 of 2 free/);
    });
    await step('complete', ['POST /api/sessions/{id}/complete/ 200', detail], async () => {
        await ina.click('Complete');
        await ina.reads('about', /completed/);
        await ina.reads('participants', /Stu Person/);
    });
    await flow.picture(ina);
    await step('both find it under their sessions', [...home, 'GET /api/sessions/my_sessions/ 200', ...home,
        'GET /api/sessions/my_sessions/ 200'], async () => {
        for (const someone of [stu, ina]) {
            await someone.click('Back');
            await someone.click('Show mine');
            await someone.reads('own', 'Pointers: completed');
        }
    });
}
