-- WITHOUT ROWID was added by hand, see src/store/schema.ts.
CREATE TABLE `function_key` (
	`env` text NOT NULL,
	`function_id` text NOT NULL,
	`key` text NOT NULL,
	`run_id` text NOT NULL,
	`expires_at` integer NOT NULL,
	PRIMARY KEY(`env`, `function_id`, `key`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `function_key_expires` ON `function_key` (`expires_at`);--> statement-breakpoint
ALTER TABLE `run` ADD `reason` text;