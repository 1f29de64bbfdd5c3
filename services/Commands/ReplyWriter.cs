using System.Text;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Commands;

/// <summary>
/// Writes a reply: to a screen with tables, to a pipe or file as text in columns that is never cut, or as one line of JSON. What
/// strangers wrote is shown so that it neither hides nor moves anything (<see cref="VisibleText"/>).
/// </summary>
internal static class ReplyWriter
{
    private const string Gap = "  ";

    private const int Done = 0;
    private const int NotDone = 1;
    private const int Refused = 2;

    /// <returns>The exit code: 0 done, 1 not done or not written, 2 bad use or bad start.</returns>
    public static Task<int> WriteAsync(Reply reply, Terminal terminal, bool json) =>
        WriteAsync(() => json ? terminal.Out.WriteLineAsync(ToJson(reply)) : WritePartsAsync(reply, terminal), terminal, reply.Status switch
        {
            ActStatus.Done => Done,
            ActStatus.NotDone => NotDone,
            _ => Refused,
        });

    /// <summary>Writes a text as it is.</summary>
    public static Task<int> WriteAsync(string text, Terminal terminal, int exitCode) => WriteAsync(() => terminal.Out.WriteAsync(text), terminal, exitCode);

    /// <summary>An answer that does not get out is said on standard error: the act behind it was done all the same.</summary>
    private static async Task<int> WriteAsync(Func<Task> write, Terminal terminal, int exitCode)
    {
        try
        {
            await write();
            return exitCode;
        }
        catch (IOException unwritten)
        {
            try
            {
                await terminal.Error.WriteLineAsync($"{(exitCode == Done ? "Done, but the answer" : "The answer")} could not be written: {unwritten.Message}");
            }
            catch (IOException)
            {
                // Both ways out are shut; the exit code is left.
            }
            return exitCode == Done ? NotDone : exitCode;
        }
    }

    private static async Task WritePartsAsync(Reply reply, Terminal terminal)
    {
        foreach (var part in reply.Parts)
            Write(part, terminal);
        if (reply.Complaint.Length > 0)
            await terminal.Error.WriteLineAsync(VisibleText.Of(reply.Complaint));
    }

    private static void Write(ReplyPart part, Terminal terminal)
    {
        switch (part)
        {
            case LinePart line:
                terminal.Out.WriteLine(VisibleText.Of(line.Text));
                break;
            case TablePart table when terminal.Columns is { } columns:
                ScreenTable.Write(table, terminal.Out, columns);
                break;
            case TablePart table:
                WriteColumns(table, terminal.Out);
                break;
        }
    }

    /// <summary>Each column is as wide as its longest cell; the last one is not padded.</summary>
    private static void WriteColumns(TablePart table, TextWriter output)
    {
        var rows = table.Rows.Select(row => row.Select(VisibleText.Of).ToArray()).Prepend([.. table.Columns.Select(TablePart.Heading)]).ToList();
        int[] widths = [.. table.Columns.Select((_, column) => rows.Max(row => row[column].Length))];
        foreach (var row in rows)
        {
            var cells = row.Select((cell, column) => TablePart.IsNumber(table.Columns[column]) ? cell.PadLeft(widths[column]) : cell.PadRight(widths[column]));
            output.WriteLine(string.Join(Gap, cells).TrimEnd());
        }
    }

    // The writer's own encoder escapes all that is not plain ASCII.
    private static string ToJson(Reply reply)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("status", Json.Name(reply.Status));
            json.WriteString("result", reply.Result);
            if (reply.Sentence.Length > 0)
                json.WriteString("message", reply.Sentence);
            reply.Properties(json);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.ToArray());
    }
}
