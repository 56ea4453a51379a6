// SPDX-License-Identifier: Apache-2.0
// A comparison server for the benchmark: Fastify and postgres.js, one worker for each of two cores. It serves the routes
// of the work loads A, B, C and D with the module's statements, prepared, on pooled connections.
// node peer.js CONFIGURATION   a file written by t/bench/Bench/Peers.pm
import cluster from 'node:cluster';
import crypto from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';

const WORKERS = 2;
const config = JSON.parse(fs.readFileSync(process.argv[2]));
const require = createRequire(config.packages);

function connect() {
    return require('postgres')({
        host: config.host, port: 5432, user: 'learnhub', database: 'learnhub', ssl: false,
        max: config.connections / WORKERS, connection: config.settings, fetch_types: false,
        types: {
            int8: { to: 20, from: [20], serialize: String, parse: Number },
            json: { to: 114, from: [114, 3802], serialize: (text) => text, parse: JSON.parse },
        },
    });
}

// ---- the caller ----

class Unauthorized extends Error {
    statusCode = 401;
}

const decoded = (part) => JSON.parse(Buffer.from(part, 'base64url'));

// Returns the id of the user of a JSON Web Token.
function caller(request) {
    const [head, payload, signature, more] = (request.headers.authorization ?? '').slice('Bearer '.length).split('.');
    if (!signature || more !== undefined) throw new Unauthorized();
    const expected = crypto.createHmac('sha256', config.secret).update(`${head}.${payload}`).digest();
    const sent = Buffer.from(signature, 'base64url');
    if (sent.length !== expected.length || !crypto.timingSafeEqual(sent, expected)) throw new Unauthorized();
    const claims = decoded(payload);
    if (decoded(head).alg !== 'HS256' || claims.iss !== 'learnhub' || claims.type !== 'access'
        || claims.exp < Date.now() / 1000) throw new Unauthorized();
    return claims.sub;
}

// ---- formats ----

const seconds = (time) => time.toISOString().slice(0, 19);
const secondsZ = (time) => `${seconds(time)}Z`;
const hex = (bytes) => bytes.toString('hex');

// A schema for Fastify's serializer: keys by type.
function schema(types) {
    const properties = {};
    for (const [type, keys] of Object.entries(types)) {
        for (const key of keys.split(' ')) {
            properties[key] = type === 'strings' ? { type: 'array', items: { type: 'string' } }
                : type === 'nullable' ? { type: ['string', 'null'] } : { type };
        }
    }
    return { type: 'object', properties };
}

const PROBLEM = schema({ string: 'id title description difficulty created_by created_at updated_at',
    strings: 'categories requirements constraints hints', nullable: 'estimated_time' });
const USER = schema({ string: 'id first_name last_name email created_at' });
const SESSION = schema({ integer: 'id max_participants participant_count available_spots',
    string: 'title description date status created_at updated_at', boolean: 'is_full can_join' });
SESSION.properties.creator = schema({ integer: 'id', string: 'first_name last_name email role' });
const PAGE = schema({ integer: 'count', nullable: 'next previous' });
PAGE.properties.results = { type: 'array', items: SESSION };

const responds = (body) => ({ schema: { response: { 200: body } } });

function session(row) {
    const { 'creator.id': id, 'creator.first_name': first_name, 'creator.last_name': last_name,
        'creator.email': email, 'creator.role': role, ...rest } = row;
    return { ...rest, creator: { id, first_name, last_name, email, role }, date: secondsZ(row.date),
        created_at: secondsZ(row.created_at), updated_at: secondsZ(row.updated_at) };
}

// Sorts the keys of all objects, for the canonical form.
function sorted(value) {
    if (Array.isArray(value)) return value.map(sorted);
    if (value === null || typeof value !== 'object') return value;
    const result = {};
    for (const key of Object.keys(value).sort()) result[key] = sorted(value[key]);
    return result;
}

// ---- the server ----

async function serve() {
    const sql = connect();
    const works = config.works;
    const run = (statement, values, on = sql) =>
        on.unsafe(statement.sql, statement.parameters.map((name) => values[name]), { prepare: true });
    const app = require('fastify')({ logger: false });
    const missing = (reply, what) => reply.code(404).send({ detail: `${what} not found.` });

    app.get('/problems/:id', responds(PROBLEM), async (request, reply) => {
        const [row] = await run(works.A.sql[0], request.params);
        if (!row) return missing(reply, 'Problem');
        return { ...row, id: hex(row.id), created_at: seconds(row.created_at), updated_at: seconds(row.updated_at) };
    });

    app.get('/users/me', responds(USER), async (request, reply) => {
        const [row] = await run(works.B.sql[0], { me: caller(request) });
        if (!row) return missing(reply, 'User');
        return { ...row, id: hex(row.id), created_at: seconds(row.created_at) };
    });

    app.get('/api/sessions/', {
        schema: {
            response: { 200: PAGE },
            querystring: { type: 'object', properties: {
                page: { type: 'integer', minimum: 1, default: 1 },
                page_size: { type: 'integer', minimum: 1, maximum: 100, default: 10 },
            } },
        },
    }, async (request) => {
        caller(request);
        const { page, page_size: limit } = request.query;
        const values = { limit: String(limit), offset: String((page - 1) * limit) };
        const [[{ count }], rows] = await Promise.all(works.C.sql.map((statement) => run(statement, values)));
        const link = (number) => `http://${request.headers.host}/api/sessions/?page=${number}&page_size=${limit}`;
        return { count, next: page * limit < count ? link(page + 1) : null, previous: page > 1 ? link(page - 1) : null,
            results: rows.map(session) };
    });

    app.put('/sessions/:id/autosave', {
        bodyLimit: 8 << 20,
        schema: { body: { type: 'object', required: ['diagram_data', 'time_spent'], properties: {
            diagram_data: { type: 'object' }, time_spent: { type: 'integer', minimum: 0 } } } },
    }, async (request, reply) => {
        const diagram = JSON.stringify(request.body.diagram_data);
        const values = { id: request.params.id, me: caller(request), time_spent: String(request.body.time_spent),
            diagram_data: diagram, fingerprint: crypto.createHash('sha256').update(diagram).digest('hex') };
        let row;
        for (const statement of works.D1.extra_sql) row ??= (await run(statement, values))[0];
        if (!row) {
            values.hash = crypto.createHash('md5').update(JSON.stringify(sorted(request.body.diagram_data)))
                .digest('hex');
            const results = works.D1.sql.length === 1 ? [await run(works.D1.sql[0], values)]
                : await sql.begin((on) => Promise.all(works.D1.sql.map((statement) => run(statement, values, on))));
            row = results.at(-1)[0];
        }
        if (!row || row['!']) return missing(reply, 'Session');
        const answer = JSON.stringify({ ...row, id: hex(row.id), problem_id: hex(row.problem_id) });
        return reply.type('application/json').send(`${answer.slice(0, -1)},"diagram_data":${diagram}}`);
    });

    await app.listen({ port: config.port, host: '127.0.0.1' });
}

if (cluster.isPrimary) {
    for (let i = 0; i < WORKERS; i++) cluster.fork();
    cluster.on('exit', () => process.exit(1));
    process.on('SIGTERM', () => process.exit(0));
} else {
    serve();
}
