// What the parts of the JavaScript clients share: steps that are checked by a
// connection of their own, not by the client under test.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { Client } = require('pg');

const own = new Client();

// The version of a package, from the folder that NODE_PATH names.
function version(name) {
	return JSON.parse(fs.readFileSync(path.join(process.env.NODE_PATH, name, 'package.json'))).version;
}

// holds(SQL, ROW...): each row as its columns joined by |, in the query's order
async function holds(query, ...wanted) {
	const { rows } = await own.query({ text: query, rowMode: 'array' });
	assert.deepEqual(rows.map((row) => row.join('|')), wanted, query);
}

async function step(name, work) {
	try {
		await work();
	} catch (error) {
		console.log(`not ok - ${name}`);
		throw error;
	}
	console.log(`ok - ${name}`);
}

// refused(WORK, SQLSTATE, FIND): the client has to show the SQLSTATE at FIND(error)
async function refused(work, sqlstate, find) {
	let shown;
	try {
		await work();
	} catch (error) {
		shown = find(error);
		if (shown !== sqlstate) throw error;
	}
	assert.equal(shown, sqlstate);
}

async function run(name, work) {
	console.log(`# ${name} ${version(name)}, pg ${version('pg')}, node ${process.versions.node}`);
	await own.connect();
	try {
		await work();
	} finally {
		await own.end();
	}
}

// Points 1 to 3 of systems 1 to 4, and four readings of each: rows as objects
const data = {
	systems: [1, 2, 3, 4].map((id) => ({ id, name: `s${id}`, vendor_type: id % 2 ? 'amber' : 'blue' })),
	points: [],
	readings: [],
	posts: [1, 2, 3].map((id) => ({ id, title: `post ${id}` })),
	tags: [1, 2, 3, 4, 5].map((id) => ({ id, name: `tag ${id}`, obsolete: id === 4 }))
};
for (const { id: system_id } of data.systems) {
	for (const id of [1, 2, 3]) {
		data.points.push({ system_id, id, point_name: `p${id}`, subsystem: id === 1 ? 'grid' : 'solar' });
		for (const at of [1, 2, 3, 4]) {
			data.readings.push({ system_id, point_id: id, at, value: system_id * 100 + id * 10 + at });
		}
	}
}

// The tables that clients without a way to make them start from
const tables = `
	CREATE TABLE systems (id int PRIMARY KEY, name text NOT NULL, vendor_type text NOT NULL,
		point_count int NOT NULL DEFAULT 0);
	CREATE TABLE point_info (system_id int NOT NULL REFERENCES systems, id int NOT NULL,
		point_name text NOT NULL, subsystem text NOT NULL, PRIMARY KEY (system_id, id));
	CREATE TABLE point_readings (system_id int NOT NULL, point_id int NOT NULL, at int NOT NULL,
		value int NOT NULL, PRIMARY KEY (system_id, point_id, at),
		FOREIGN KEY (system_id, point_id) REFERENCES point_info);
	CREATE TABLE posts (id int PRIMARY KEY, title text NOT NULL);
	CREATE TABLE tags (id int PRIMARY KEY, name text NOT NULL UNIQUE, obsolete boolean NOT NULL DEFAULT false);
	CREATE TABLE post_tags (post_id int NOT NULL REFERENCES posts, tag_id int NOT NULL REFERENCES tags,
		weight int NOT NULL DEFAULT 0, PRIMARY KEY (post_id, tag_id));
	CREATE TABLE canary (a int NOT NULL, b int NOT NULL, PRIMARY KEY (a, b))`;

module.exports = { assert, data, holds, own, refused, run, step, tables };
