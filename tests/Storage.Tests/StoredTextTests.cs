using CsCheck;

namespace MailPipeline.Storage.Tests;

public sealed class StoredTextTests
{
    [Fact]
    public void A_note_is_cut_between_characters_and_is_as_it_was_where_it_can_be()
    {
        Gen.String[Gen.OneOf(Gen.Char['\uD800', '\uDFFF'], Gen.Char['\0', '\u00FF']), 0, 40].Select(Gen.Int[4, 40]).Sample((text, length) =>
        {
            var note = StoredText.Note(text, length);
            return StoredText.IsStorable(note) && note.Length <= length
                && (!StoredText.IsStorable(text) || text.Length > length || ReferenceEquals(note, text));
        });
    }
}
