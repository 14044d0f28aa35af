// The records that a call leaves, read past the server: with psql, and for SQLite with Python's own library.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A fresh database in the cluster of tools/with-postgres. */
export class Postgres {
  static async create() {
    const cluster = process.env.TEST_POSTGRES_URL;
    if (!cluster) throw new Error('TEST_POSTGRES_URL is not set; run under tools/with-postgres');
    const name = `e2e_${randomBytes(6).toString('hex')}`;
    await psql(cluster, `create database ${name}`);
    const url = new URL(cluster);
    url.pathname = `/${name}`;
    return new Postgres(cluster, name, url.href);
  }

  constructor(cluster, name, url) {
    this.cluster = cluster;
    this.name = name;
    this.url = url;
  }

  async rows(sql) {
    return JSON.parse(await psql(this.url, `select coalesce(json_agg(t), '[]') from (${sql}) t`));
  }

  async drop() {
    await psql(this.cluster, `drop database if exists ${this.name} with (force)`);
  }
}

async function psql(url, sql) {
  const { stdout } = await run('psql', ['--no-psqlrc', '-qAtX', '-v', 'ON_ERROR_STOP=1', '-d', url, '-c', sql]);
  return stdout;
}

/** The file that the server makes in its data directory when no database is configured. */
export class Sqlite {
  url = null;

  constructor(file) {
    this.file = file;
  }

  async rows(sql) {
    const program = [
      'import json, sqlite3, sys',
      'db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True, timeout=10)',
      'db.row_factory = sqlite3.Row',
      'print(json.dumps([dict(row) for row in db.execute(sys.argv[2])]))',
    ].join('\n');
    const { stdout } = await run('python3', ['-c', program, this.file, sql]);
    return JSON.parse(stdout);
  }

  async drop() {} // goes with the data directory
}
