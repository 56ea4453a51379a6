// SPDX-License-Identifier: Apache-2.0
// Coding: a session is logged and unlocked by an activity that an admin verifies; its credits buy a reward.

const home = ['GET /api/profiles/me/ 200', 'GET /api/codingsessions?user={id} 200', 'GET /api/activities/ 200',
    'GET /api/rewards/ 200', 'GET /api/rewards/redemptions/ 200'];
const today = new Date().toISOString().slice(0, 10);
const password = 'a good password';
const reward = `A tree ${Date.now()}`;
const activity = `Uphill ${Date.now()}`;

async function logIn({ step }, eve, email) {
    await step('sign up', ['POST /api/users/ 201'], async () => {
        await eve.submit('signup', { email, password });
        await eve.reads('message', `Welcome, ${email} (${email})`);
    });
    await step('a wrong password is refused', ['POST /api/token/ 401'], async () => {
        await eve.submit('login', { email, password: 'a wrong password' });
        await eve.reads('message', /^[A-Z]/);
    });
    await step('log in', ['POST /api/token/ 200', ...home], async () => {
        await eve.submit('login', { password });
        await eve.reads('profile', /^User \d+ \(GitHub: null, picture: null\): 0 credits, 0 locked, streak 0 of 0$/);
    });
}

async function earn({ step }, eve) {
    await step('set the GitHub name', ['PATCH /api/profiles/me/ 200', 'GET /api/profiles/me/ 200'], async () => {
        await eve.submit('github', { github_username: 'eve-codes' });
        await eve.reads('profile', /GitHub: eve-codes/);
    });
    await step('log a session', ['POST /api/codingsessions/ 201', 'GET /api/codingsessions?user={id} 200',
        'GET /api/profiles/me/ 200'], async () => {
        await eve.submit('session', { session_name: 'Parsers', duration: '01:30:00' });
        await eve.reads('sessions', /^Parsers, 01:30:00, manual, 15 credits, locked, \d{4}-/);
        await eve.reads('profile', /: 0 credits, 15 locked, streak 1 of 1$/);
    });
    const submitted = ['POST /api/activities/ 201', 'GET /api/activities/ 200'];
    await step('submit an activity with a picture', submitted, async () => {
        const picture = { name: 'hill.png', mimeType: 'image/png', buffer: await eve.page.screenshot() };
        await eve.submit('activity', { activity: 'hiking', hours: '2', location: 'The hill', description: activity,
            activity_date: today, verification_proof: picture });
        await eve.reads('activities', new RegExp(`^hiking in The hill, 0?2:00:00, ${today}.*: ${activity}, PENDING$`));
        await eve.page.waitForFunction(() => document.querySelector('#activities img').naturalWidth === 1000);
    });
    await step('a reward costs more than there is', ['POST /api/rewards/redeem/ 400'], async () => {
        await eve.click(`Redeem ${reward}`);
        await eve.reads('message', /credits/);
    });
}

export default async function coding(flow) {
    const { step, person, ask } = flow;
    const eve = await person();
    await ask('reward', { name: reward, description: 'We plant it', cost: 10, icon: 'tree' });
    const email = await ask('address');
    await logIn(flow, eve, email);
    await earn(flow, eve);

    const admin = await person('#admin');
    const credentials = await ask('admin');
    const pending = 'GET /api/ecoactivities/?status=pending 200';
    await step('an admin logs in', ['POST /api/token/ 200', pending], async () => {
        await admin.submit('login', credentials);
    });
    await step('and verifies the activity', ['POST /api/ecoactivities/{id}/verify/ 200', pending], async () => {
        const entry = admin.page.locator('#pending > li', { hasText: `${activity}: hiking, 24 points` });
        await admin.click('Verify', entry);
        await entry.waitFor({ state: 'detached' });
    });
    await step('the session is unlocked', home, async () => {
        await eve.page.reload();
        await eve.reads('sessions', /15 credits, unlocked/);
        await eve.reads('activities', /VERIFIED/);
        await eve.reads('profile', /: 15 credits, 0 locked/);
    });
    await step('redeem the reward', ['POST /api/rewards/redeem/ 201', 'GET /api/rewards/ 200',
        'GET /api/rewards/redemptions/ 200', 'GET /api/profiles/me/ 200'], async () => {
        await eve.click(`Redeem ${reward}`);
        await eve.reads('message', new RegExp(`^[A-Z].*${reward}, 5 credits left$`));
        await eve.reads('redemptions', new RegExp(`^tree ${reward}, 10 credits, \\d{4}-`));
        await eve.reads('profile', /: 5 credits, 0 locked/);
    });
    await step('the leaderboard needs no token', ['GET /api/leaderboard/friends/ 200'], async () => {
        await eve.click('Leaderboard');
        await eve.reads('leaderboard', /^1\. I: 15 credits$/);
    });
    await flow.picture(eve);
}
