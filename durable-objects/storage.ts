/** An object's own storage, as owners see it: rows, and one alarm. */
export type Sql = string | number | null;

export interface ObjectStorage {
  read<Row>(query: string, ...values: Sql[]): Row[];
  /** One after the other, for those that may be very many: read to the end, or left, before anything is written. */
  each<Row>(query: string, ...values: Sql[]): Iterable<Row>;
  write(statement: string, ...values: Sql[]): void;
  /** What `work` writes, alarm included, together or not at all; durable before anything leaves the object. */
  transact<Result>(work: () => Result): Result;
  alarm(): Promise<number | null>;
  setAlarm(at: number): void;
}

export function objectStorage(storage: DurableObjectStorage): ObjectStorage {
  return {
    read: <Row>(query: string, ...values: Sql[]) => storage.sql.exec(query, ...values).toArray() as Row[],
    each: <Row>(query: string, ...values: Sql[]) =>
      storage.sql.exec(query, ...values) as Iterable<unknown> as Iterable<Row>,
    write: (statement, ...values) => void storage.sql.exec(statement, ...values),
    transact: (work) => storage.transactionSync(work),
    alarm: () => storage.getAlarm(),
    // Not awaited: the write is part of the turn's transaction.
    setAlarm: (at) => void storage.setAlarm(at),
  };
}
