namespace MailPipeline.Standalone;

/// <summary>Where a command reads and writes; the process's own streams, or a test's.</summary>
/// <param name="PromptSecret">
/// Asks a person for a secret without showing it; null when the input is not a terminal, then a secret is the next line of it.
/// </param>
internal sealed record Terminal(TextReader In, TextWriter Out, TextWriter Error, Func<string, string?>? PromptSecret)
{
    public static Terminal Process { get; } = new(
        Console.In, Console.Out, Console.Error, Console.IsInputRedirected ? null : ReadWithoutEcho);

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
