using System.Text;

namespace MailPipeline.Mailbox.Tests.Kit;

/// <summary>How the client's side of a transcript is fed to the server.</summary>
public enum Feed
{
    /// <summary>All commands at once.</summary>
    Whole,

    /// <summary>A command, its answer, the next command.</summary>
    ByLine,

    /// <summary>All commands, an octet at a time.</summary>
    ByOctet,
}

/// <summary>
/// A dialogue as lines of "C: " and "S: ", run against a server. The dialogue must end with the server closing the
/// connection. "\x41" stands for an octet, "..." at the end of a server's line for anything.
/// </summary>
internal static class Transcript
{
    public static async Task RunAsync(Pop3Wire wire, string text, Feed feed)
    {
        var lines = text.ReplaceLineEndings("\n").Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select((line, index) => (Number: index + 1, FromClient: line.StartsWith("C: ", StringComparison.Ordinal), Text: Unescape(line[3..])))
            .ToArray();

        if (feed != Feed.ByLine)
        {
            var commands = string.Concat(lines.Where(line => line.FromClient).Select(line => line.Text + "\r\n"));
            // Beside the reading: more than a pipe holds may be on the way.
            var sending = feed == Feed.Whole ? wire.SendAsync(commands) : wire.SendOctetByOctetAsync(commands);
            foreach (var line in lines.Where(line => !line.FromClient))
                await ExpectAsync(wire, line.Number, line.Text);
            await sending;
        }
        else
        {
            foreach (var line in lines)
            {
                if (line.FromClient)
                    await wire.SendAsync(line.Text + "\r\n");
                else
                    await ExpectAsync(wire, line.Number, line.Text);
            }
        }
        Assert.Equal("", await wire.RestAsync());
        await wire.Served;
    }

    private static async Task ExpectAsync(Pop3Wire wire, int number, string expected)
    {
        var got = await wire.LineAsync();
        var matches = expected.EndsWith("...", StringComparison.Ordinal)
            ? got.StartsWith(expected[..^3], StringComparison.Ordinal)
            : got == expected;
        Assert.True(matches, $"Line {number} of the transcript\nexpected: {expected}\ngot:      {got}");
    }

    private static string Unescape(string line)
    {
        var text = new StringBuilder();
        for (var index = 0; index < line.Length; index++)
        {
            if (line[index] == '\\' && index + 3 < line.Length && line[index + 1] == 'x')
            {
                text.Append((char)Convert.ToByte(line.Substring(index + 2, 2), 16));
                index += 3;
            }
            else
            {
                text.Append(line[index]);
            }
        }
        return text.ToString();
    }
}
