using MailPipeline.Administration;

namespace MailPipeline.Commands.Tests;

/// <summary>Remarks on what is published, in words.</summary>
public sealed class RemarkWordsTests
{
    private static readonly string[] s_values = ["one", "two"];

    [Fact]
    public void Each_kind_has_words_of_its_own_with_its_values()
    {
        var sentences = Enum.GetValues<RemarkKind>().Select(Sentence).ToList();
        Assert.Equal(sentences.Count, sentences.Distinct().Count());
        Assert.DoesNotContain(sentences, sentence => sentence.Length == 0);
    }

    [Fact]
    public void Several_are_one_sentence() => Assert.Equal(
        "its key has 1536 bits; 2048 are usual; it is for tests (t=y): who fails is treated as who does not sign",
        RemarkWords.Of([new(RemarkKind.KeyShort, "1536", "2048"), new(RemarkKind.KeyForTests)]));

    /// <summary>With as many values as it takes.</summary>
    private static string Sentence(RemarkKind kind)
    {
        for (var values = 0; ; values++)
        {
            try
            {
                // What needs none would say the same with any.
                var said = RemarkWords.Of(new PublishedRemark(kind, s_values[..values]));
                return values == 0 && kind is RemarkKind.NotAmongThem or RemarkKind.NotReachable or RemarkKind.DmarcFaults or RemarkKind.StsHostsShutOut or RemarkKind.StsHostsUnnamed
                    ? RemarkWords.Of(new PublishedRemark(kind, s_values)) : said;
            }
            catch (System.Diagnostics.UnreachableException) when (values < s_values.Length)
            {
                // It takes more.
            }
        }
    }
}
