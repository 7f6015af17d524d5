/** What a person wrote about an incident. */
export interface Note {
  readonly timeMs: number
  readonly by: string
  readonly text: string
}

/** Who said to work on an incident. */
export type Acknowledgement = Omit<Note, 'text'>

/** Maximum notes of an incident, and characters of one: about 40 KiB of the record. */
export const MAX_NOTES = 20
export const MAX_NOTE_CHARACTERS = 2_000
export const MAX_NAME_CHARACTERS = 40
