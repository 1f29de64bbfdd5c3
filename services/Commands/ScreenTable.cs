using MailPipeline.ServiceDefaults;
using Spectre.Console;

namespace MailPipeline.Commands;

/// <summary>A table on a screen: what does not fit a cell goes on in its next line, and nothing is left out.</summary>
internal static class ScreenTable
{
    public static void Write(TablePart table, TextWriter output, int columns)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output) });
        console.Profile.Width = columns;
        var drawn = new Table { Border = TableBorder.Horizontal };
        foreach (var column in table.Columns)
        {
            // Text, never markup: "[red]" in a reply is what somebody wrote.
            drawn.AddColumn(new TableColumn(new Text(TablePart.Heading(column)))
            {
                Alignment = TablePart.IsNumber(column) ? Justify.Right : Justify.Left,
            });
        }
        foreach (var row in table.Rows)
            drawn.AddRow(row.Select(cell => new Text(VisibleText.Of(cell))));
        console.Write(drawn);
    }
}
