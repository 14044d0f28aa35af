-- What a command was refused with. A repeat of its id is refused in the same words, whatever has changed meanwhile: who was
-- told "you are in another call" must not find, a moment later, that the late twin of the same command rings people.
ALTER TABLE client_commands ADD COLUMN refusal TEXT
    CONSTRAINT client_commands_one_answer CHECK (refusal IS NULL OR result IS NULL);
