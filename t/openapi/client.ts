// SPDX-License-Identifier: Apache-2.0
// A client with the types of /openapi.json: logs in, creates a tutoring session and prints the first page of the list.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Session = components["schemas"]["TutoringSession"];

declare const process: { env: Record<string, string> };

const baseUrl = process.env.API;

async function logIn(): Promise<string> {
    const { data, error } = await createClient<paths>({ baseUrl }).POST("/users/login", {
        body: { username: process.env.NAME, password: process.env.PASSWORD },
        headers: { "Content-Type": "application/x-www-form-urlencoded" },
    });
    if (!data) {
        throw new Error(JSON.stringify(error.detail));
    }
    return data.access_token;
}

async function create(token: string): Promise<Session> {
    const api = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });
    const { data, error } = await api.POST("/api/sessions/", {
        params: { header: { "Idempotency-Key": process.env.NAME } },
        body: { title: "Typed", description: "All of it", date: "2040-01-20T16:00:00Z", max_participants: 6 },
    });
    if (!data) {
        throw new Error(error.error);
    }
    const list = await api.GET("/api/sessions/{id}/participants/", { params: { path: { id: data.id } } });
    const joined: number = list.data?.length ?? NaN;
    console.log(`${data.title} has ${data.max_participants} seats, ${joined} taken`);
    return data;
}

create(await logIn());
