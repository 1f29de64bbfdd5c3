namespace MailPipeline.Commands;

/// <summary>Where a command reads and writes; the process's own streams, or a test's.</summary>
/// <param name="PromptSecret">
/// Asks a person for a secret without showing it; null when the input is not a terminal, then a secret is the next line of it.
/// </param>
/// <param name="Columns">The width of the screen; null when the output is a pipe or a file, in which nothing is cut or drawn.</param>
internal sealed record Terminal(TextReader In, TextWriter Out, TextWriter Error, Func<string, string?>? PromptSecret, int? Columns)
{
    private const int UsualColumns = 80;

    public static Terminal Process { get; } = new(
        Console.In, Console.Out, Console.Error, Console.IsInputRedirected ? null : ReadWithoutEcho,
        Console.IsOutputRedirected ? null : ColumnsOfScreen());

    /// <summary>A password as it is typed twice, or the first line of standard input.</summary>
    /// <exception cref="UsageException">What was typed twice differs.</exception>
    public async Task<string> ReadPasswordAsync(CancellationToken cancellation)
    {
        if (PromptSecret is null)
            return await In.ReadLineAsync(cancellation) ?? "";
        var password = PromptSecret("Password: ");
        return password is null || PromptSecret("Once more: ") == password ? password ?? "" : throw new UsageException("The two passwords differ");
    }

    private static int ColumnsOfScreen()
    {
        try
        {
            return Console.WindowWidth is > 0 and var columns ? columns : UsualColumns;
        }
        catch (IOException)
        {
            // A terminal that does not tell its size.
            return UsualColumns;
        }
    }

    private static string? ReadWithoutEcho(string prompt)
    {
        Console.Error.Write(prompt);
        var typed = new System.Text.StringBuilder();
        while (true)
        {
            var key = Console.ReadKey(intercept: true);
            switch (key.Key)
            {
                case ConsoleKey.Enter:
                    Console.Error.WriteLine();
                    return typed.ToString();
                case ConsoleKey.Backspace when typed.Length > 0:
                    typed.Length--;
                    break;
                case ConsoleKey.D when key.Modifiers == ConsoleModifiers.Control:
                    Console.Error.WriteLine();
                    return null;
                default:
                    if (!char.IsControl(key.KeyChar))
                        typed.Append(key.KeyChar);
                    break;
            }
        }
    }
}
