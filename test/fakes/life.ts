/** The life of one object on a disk of its own: time, its timers and its alarm, and crashes, all in the test's hand. */
import { emptyDisk, type WaitsDisk } from './waits.ts';

export abstract class ObjectLife<Owner extends { alarm(): Promise<void> }> {
  now: number;
  readonly disk: WaitsDisk = emptyDisk();
  /** Timers of the present object. */
  timers: { at: number; fire: () => void }[] = [];
  lives = 0;
  abstract owner: Owner;

  constructor(start: number) {
    this.now = start;
  }

  protected abstract build(): Owner;

  /** All that is in memory is lost, what it was doing never goes on. */
  crash(): void {
    this.lives++;
    this.timers = [];
    if (this.disk.firing !== null) this.disk.alarm = Math.min(this.disk.firing, this.disk.alarm ?? Infinity);
    this.disk.firing = null;
    this.owner = this.build();
  }

  advance(ms: number): void {
    this.now += ms;
    const due = this.timers.filter(({ at }) => at <= this.now);
    this.timers = this.timers.filter(({ at }) => at > this.now);
    for (const { fire } of due) fire();
  }

  get isAlarmDue(): boolean {
    return this.disk.alarm !== null && this.disk.alarm <= this.now && this.disk.firing === null;
  }

  async fireAlarm(): Promise<void> {
    const { lives } = this;
    this.disk.firing = this.disk.alarm;
    this.disk.alarm = null;
    await this.owner.alarm();
    if (lives === this.lives) this.disk.firing = null;
  }

  /** Time passes until the alarm, and it goes off. */
  async nextAlarm(): Promise<void> {
    if (this.disk.alarm === null) throw new Error('no alarm is set');
    this.advance(Math.max(0, this.disk.alarm - this.now));
    await this.fireAlarm();
  }
}
