CREATE TABLE `cancellation` (
	`id` text PRIMARY KEY NOT NULL,
	`env` text NOT NULL,
	`app_id` text NOT NULL,
	`function_id` text NOT NULL,
	`started_after` integer,
	`started_before` integer NOT NULL,
	`expression` text,
	`created_at` integer NOT NULL,
	`since` integer NOT NULL,
	`pass_cursor` text,
	`pass_until` integer,
	`matched` integer NOT NULL,
	`cancelled` integer NOT NULL,
	`ended_at` integer
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `cancellation_open` ON `cancellation` (`id`) WHERE ended_at IS NULL;