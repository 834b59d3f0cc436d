package syntax

const maxComplexity = 10

func complexity([]Alternative) int { return 0 }
