/**
 * The storage of a waits object in memory: SQLite, as on the platform. `WaitsDisk` is what survives a crash; a storage made on it
 * stops working when its object does.
 */
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import type { ObjectStorage } from '../../durable-objects/storage.ts';

export interface WaitsDisk {
  database: DatabaseSync;
  alarm: number | null;
  /** Taken away by the platform while its handler runs; it is back after a crash in there. */
  firing: number | null;
}

export function emptyDisk(): WaitsDisk {
  return { database: new DatabaseSync(':memory:'), alarm: null, firing: null };
}

/** @param isAlive of the object that has this storage. */
export function memoryWaitsStorage(disk: WaitsDisk, isAlive: () => boolean = () => true): ObjectStorage {
  const { database } = disk;
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();
  const prepared = (text: string) => {
    if (!isAlive()) throw new Error('the object is gone');
    const known = statements.get(text) ?? database.prepare(text);
    statements.set(text, known);
    return known;
  };
  return {
    read: <Row>(query: string, ...values: SQLInputValue[]) => database.prepare(query).all(...values) as Row[],
    each: <Row>(query: string, ...values: SQLInputValue[]) =>
      // A statement of its own, as a cursor is: it may be read while the same query is made again.
      database.prepare(query).iterate(...values) as Iterable<unknown> as Iterable<Row>,
    write: (statement, ...values) => void prepared(statement).run(...values),
    transact(work) {
      if (!isAlive()) throw new Error('the object is gone');
      const { alarm } = disk;
      database.exec('BEGIN');
      try {
        const result = work();
        database.exec('COMMIT');
        return result;
      } catch (error) {
        database.exec('ROLLBACK');
        disk.alarm = alarm;
        throw error;
      }
    },
    alarm: async () => disk.alarm,
    setAlarm(at) {
      if (!isAlive()) throw new Error('the object is gone');
      disk.alarm = at;
    },
  };
}
