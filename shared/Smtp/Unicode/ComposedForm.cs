using System.Text;

namespace MailPipeline.Smtp;

/// <summary>
/// Unicode's normal form C (Unicode Standard Annex #15): an accent typed behind its letter is the same text as the accented letter, and
/// nothing else is the same as anything else.
/// </summary>
internal static class ComposedForm
{
    // Unicode, section 3.12: syllables of Hangul are put together by rule.
    private const int SyllableBase = 0xAC00;
    private const int LeadBase = 0x1100;
    private const int VowelBase = 0x1161;
    private const int TailBase = 0x11A7;
    private const int Leads = 19;
    private const int Vowels = 21;
    private const int Tails = 28;
    private const int Syllables = Leads * Vowels * Tails;

    /// <summary>The text in this form; one that is no text (half a pair of surrogates) as it is.</summary>
    public static string Of(string text)
    {
        if (Ascii.IsValid(text) || !IsText(text))
            return text;
        var characters = new List<int>(text.Length);
        foreach (var rune in text.EnumerateRunes())
            TakeApart(rune.Value, characters);
        Order(characters);
        PutTogether(characters);
        var composed = new StringBuilder(text.Length);
        foreach (var character in characters)
            composed.Append(new Rune(character));
        return composed.ToString();
    }

    private static bool IsText(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i]))
                continue;
            if (!char.IsSurrogatePair(text, i))
                return false;
            i++;
        }

        return true;
    }

    private static void TakeApart(int character, List<int> parts)
    {
        if (character - SyllableBase is >= 0 and < Syllables and var syllable)
        {
            parts.Add(LeadBase + (syllable / (Vowels * Tails)));
            parts.Add(VowelBase + (syllable % (Vowels * Tails) / Tails));
            if (syllable % Tails != 0)
                parts.Add(TailBase + (syllable % Tails));
        }
        else if (UnicodeTables.All.PartsOf(character) is { } made)
        {
            foreach (var part in made)
                TakeApart(part, parts);
        }
        else
        {
            parts.Add(character);
        }
    }

    /// <summary>Marks behind one letter stand by their classes, those of one class as they were typed.</summary>
    private static void Order(List<int> characters)
    {
        for (var start = 0; start < characters.Count; start++)
        {
            if (UnicodeTables.All.ClassOf(characters[start]) == 0)
                continue;
            var end = start + 1;
            while (end < characters.Count && UnicodeTables.All.ClassOf(characters[end]) != 0)
                end++;
            var marks = characters[start..end].OrderBy(UnicodeTables.All.ClassOf).ToList();
            for (var i = 0; i < marks.Count; i++)
                characters[start + i] = marks[i];
            start = end;
        }
    }

    private static void PutTogether(List<int> characters)
    {
        // Where the last letter is, and the class of the last mark that was left behind it.
        var (letter, left, kept) = (-1, 0, 0);
        for (var i = 0; i < characters.Count; i++)
        {
            var character = characters[i];
            var own = UnicodeTables.All.ClassOf(character);
            // A mark is blocked by another of its class, and a letter by any mark.
            var isBlocked = letter >= 0 && kept > letter + 1 && left >= own;
            if (letter >= 0 && !isBlocked && Whole(characters[letter], character) is { } whole)
            {
                characters[letter] = whole;
                continue;
            }

            if (own == 0)
                letter = kept;
            left = own;
            characters[kept++] = character;
        }

        characters.RemoveRange(kept, characters.Count - kept);
    }

    private static int? Whole(int first, int second)
    {
        if (first - LeadBase is >= 0 and < Leads and var lead && second - VowelBase is >= 0 and < Vowels and var vowel)
            return SyllableBase + (((lead * Vowels) + vowel) * Tails);
        if (first - SyllableBase is >= 0 and < Syllables and var syllable && syllable % Tails == 0 && second - TailBase is > 0 and < Tails and var tail)
            return SyllableBase + syllable + tail;
        return UnicodeTables.All.WholeOf(first, second);
    }
}
