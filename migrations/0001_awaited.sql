-- WITHOUT ROWID was added by hand, see src/store/schema.ts.
CREATE TABLE `awaited` (
	`env` text NOT NULL,
	`name` text NOT NULL,
	PRIMARY KEY(`env`, `name`)
) WITHOUT ROWID;
