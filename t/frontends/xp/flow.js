// SPDX-License-Identifier: Apache-2.0
// XP: plan a goal, start it, register and complete a session, read the history.

const year = new Date().getUTCFullYear() + 1;
const home = ['GET /api/v1/auth/me/ 200', 'GET /api/v1/users/me/xp/ 200',
    ...['planned', 'ongoing', 'completed'].map((status) => `GET /api/v1/goals/?status=${status} 200`)];
const open = ['GET /api/v1/goals/{id}/ 200', 'GET /api/v1/activities/?page_size=100 200',
    'GET /api/v1/goals/{id}/sessions/ 200'];
const password = 'a good password';

async function accounts({ step }, kim, username) {
    await step('a short password is refused', ['POST /api/v1/auth/register/ 400'], async () => {
        await kim.submit('register', { username, email: `${username}@example.com`, password: 'short' });
        await kim.reads('message', /8 to 72 bytes/);
    });
    await step('register', ['POST /api/v1/auth/register/ 201', ...home], async () => {
        await kim.submit('register', { password });
        await kim.reads('me', new RegExp(`^${username}, ${username}@example.com, .*: level 1, 0 points`));
    });
    await step('the log-in lasts over a reload', home, async () => {
        await kim.page.reload();
        await kim.reads('me', /level 1/);
    });
    await step('an expired token is renewed', ['GET /api/v1/auth/me/ 401', 'POST /api/v1/auth/refresh/ 200', ...home],
        async () => {
            await kim.page.evaluate(() => localStorage.setItem('access', 'expired'));
            await kim.page.reload();
            await kim.reads('me', /level 1/);
        });
    await kim.page.evaluate(() => localStorage.clear());
    await kim.page.reload();
    await step('a wrong password is refused', ['POST /api/v1/auth/login/ 401'], async () => {
        await kim.submit('login', { username, password: 'a wrong password' });
        await kim.reads('message', /^[A-Z]/);
    });
    await step('log in', ['POST /api/v1/auth/login/ 200', ...home], async () => {
        await kim.submit('login', { password });
        await kim.reads('me', /level 1/);
    });
}

export default async function xp(flow) {
    const { step } = flow;
    const kim = await flow.person();
    await accounts(flow, kim, await flow.ask('name', 'kim'));
    const goal = { title: 'Draw a robot', description: 'A page each day', emoji: '🎨', category: 'Drawing',
        color: '#4187a2', days_total: '30', finish_by: `${year}-06-30` };
    await step('plan a goal', ['POST /api/v1/goals/ 201', ...open], async () => {
        await kim.submit('create', goal);
        await kim.reads('title', '🎨 Draw a robot');
        await kim.reads('about', /^A page each day; planned; created \d{4}-.*Z, changed \d{4}-.*Z$/);
    });
    await step('it is among the planned goals', home, async () => {
        await kim.click('Back');
        await kim.reads('planned',
            new RegExp(`^🎨 Draw a robot \\(Drawing\\), until ${year}-06-30.*: 0 of 30 days, planned`));
        await kim.has('ongoing', 0);
    });
    await step('start the goal', ['PATCH /api/v1/goals/{id}/ 200', ...home], async () => {
        await kim.click('Start');
        await kim.has('planned', 0);
        await kim.reads('ongoing', /0 of 30 days, ongoing/);
    });
    await step('open it', open, async () => {
        await kim.click('Open');
        await kim.reads('about', /; ongoing; /);
    });
    await step('rates and registration of a session', ['POST /api/v1/sessions/calculate-rates/ 200',
        'POST /api/v1/sessions/ 201'], async () => {
        const drawing = kim.page.locator('#begin option', { hasText: /^🎨 Drawing$/ }).first();
        await kim.submit('begin', { activity: await drawing.getAttribute('value') });
        await kim.reads('live', /^live-[-0-9a-f]+ is active: physique [\d.]+, .*, social [\d.]+$/);
    });
    await step('complete it', ['PUT /api/v1/sessions/{id}/ 200', 'GET /api/v1/goals/{id}/sessions/ 200'], async () => {
        await kim.click('End the session');
        await kim.reads('live', /^live-[-0-9a-f]+ is completed: [1-9]\d*$/);
        await kim.reads('history', /^\S+ Drawing: [1-9]\d* points \(\d+, \d+, \d+, \d+, \d+\), 36\d\d seconds, manual/);
    });
    await flow.picture(kim);
    await step('the points and the day count', home, async () => {
        await kim.click('Back');
        await kim.reads('me', /[1-9]\d* points/);
        await kim.reads('ongoing', /1 of 30 days, ongoing/);
    });
    await step('finish the goal', ['PATCH /api/v1/goals/{id}/ 200', ...home], async () => {
        await kim.click('Finish');
        await kim.reads('completed', /1 of 30 days, completed/);
    });
}
